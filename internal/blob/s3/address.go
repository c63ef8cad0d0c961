package s3

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"drover.farm/internal/blob"
)

// defaultRegion is what S3 servers that know no regions expect in signatures.
const defaultRegion = "us-east-1"

// address is a parsed s3:// URL.
type address struct {
	bucket, prefix string
	host           string
	region         string
	secure         bool
	pathStyle      bool
}

// parseAddress reads s3://BUCKET/PREFIX?endpoint=URL&path_style=BOOL&region=NAME.
func parseAddress(s string) (address, error) {
	fail := func(format string, args ...any) (address, error) {
		return address{}, fmt.Errorf("%w: the address of the S3 store: "+format, append([]any{blob.ErrInvalid}, args...)...)
	}
	u, err := url.Parse(s)
	if err != nil {
		return fail("it is no URL; it has the form s3://BUCKET/PREFIX?endpoint=http://HOST:PORT")
	}
	switch {
	case u.Scheme != "s3":
		return fail("it begins with %q, not with s3://", u.Scheme)
	case u.User != nil:
		return fail("it has credentials in it: give them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case u.Host == "":
		return fail("it names no bucket: s3://BUCKET/PREFIX")
	case u.Fragment != "":
		return fail("it has a #fragment, which means nothing here")
	}
	a := address{bucket: u.Host, host: "s3.amazonaws.com", region: defaultRegion, secure: true}
	if p := strings.Trim(u.Path, "/"); p != "" {
		if path.Clean(p) != p || strings.HasPrefix(p, "..") {
			return fail("its prefix %q has empty parts or dots", p)
		}
		a.prefix = p + "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fail("what follows the question mark cannot be read: %w", err)
	}
	for name, values := range query {
		if len(values) != 1 {
			return fail("%s is given %d times", name, len(values))
		}
		if err := a.set(name, values[0]); err != nil {
			return fail("%w", err)
		}
	}
	return a, nil
}

func (a *address) set(name, value string) error {
	switch name {
	case "endpoint":
		return a.setEndpoint(value)
	case "region":
		if value == "" {
			return fmt.Errorf("region is empty")
		}
		a.region = value
	case "path_style":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("path_style is %q, not true or false", value)
		}
		a.pathStyle = b
	default:
		return fmt.Errorf("it has a setting %q; known are endpoint, path_style and region", name)
	}
	return nil
}

func (a *address) setEndpoint(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint is %q, not http://HOST:PORT or https://HOST", value)
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("endpoint has more than a scheme, a host and a port")
	}
	a.host, a.secure = u.Host, u.Scheme == "https"
	return nil
}

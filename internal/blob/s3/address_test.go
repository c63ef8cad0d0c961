package s3

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/internal/blob"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]address{
		"s3://farm":   {bucket: "farm", host: "s3.amazonaws.com", region: "us-east-1", secure: true},
		"s3://farm/":  {bucket: "farm", host: "s3.amazonaws.com", region: "us-east-1", secure: true},
		"s3://a/b/c/": {bucket: "a", prefix: "b/c/", host: "s3.amazonaws.com", region: "us-east-1", secure: true},
		"s3://farm/x?endpoint=http://127.0.0.1:9000&path_style=true": {
			bucket: "farm", prefix: "x/", host: "127.0.0.1:9000", region: "us-east-1", pathStyle: true,
		},
		"s3://farm?endpoint=https%3A%2F%2Fs3.example%2F&region=eu-1&path_style=0": {
			bucket: "farm", host: "s3.example", region: "eu-1", secure: true,
		},
	} {
		got, err := parseAddress(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(address{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s, diff)
		}
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for s, say := range map[string]string{
		"":                                  "s3://",
		"http://farm":                       "s3://",
		"s3:farm":                           "names no bucket",
		"s3:///x":                           "names no bucket",
		"s3://key:secret@farm":              "AWS_ACCESS_KEY_ID",
		"s3://farm/a//b":                    "empty parts",
		"s3://farm/../x":                    "dots",
		"s3://farm/#x":                      "#fragment",
		"s3://farm?endpont=http://x":        `"endpont"`,
		"s3://farm?endpoint=":               "http://HOST:PORT",
		"s3://farm?endpoint=127.0.0.1:9000": "http://HOST:PORT",
		"s3://farm?endpoint=ftp://x":        "http://HOST:PORT",
		"s3://farm?endpoint=http://u:p@x":   "a scheme, a host and a port",
		"s3://farm?endpoint=http://x/y":     "a scheme, a host and a port",
		"s3://farm?path_style=perhaps":      "true or false",
		"s3://farm?region=":                 "region is empty",
		"s3://farm?region=a&region=b":       "2 times",
		"s3://farm?%zz":                     "question mark",
		"s3://fa rm":                        "form",
	} {
		_, err := parseAddress(s)
		if !errors.Is(err, blob.ErrInvalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v, want a word of %q", s, err, say)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells the secret: %v", s, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("s3://farm/x?endpoint=http://127.0.0.1:9000&path_style=true")
	f.Add("s3://farm/../x")
	f.Add("s3://a:b@c?d=e#f")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			if !errors.Is(err, blob.ErrInvalid) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if a.bucket == "" || a.host == "" || a.prefix != "" && !strings.HasSuffix(a.prefix, "/") || strings.HasPrefix(a.prefix, "/") {
			t.Errorf("%q gives %+v", s, a)
		}
	})
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	b := newBucket(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	keys := Options{AccessKey: "a", SecretKey: "b", Retries: 1}
	for name, c := range map[string]struct {
		address, say string
		opt          Options
	}{
		"no credentials":  {b.address(""), "AWS_ACCESS_KEY_ID", Options{}},
		"bad address":     {"farm", "s3://", keys},
		"no bucket":       {"s3://other?path_style=true&endpoint=" + b.url, "does not exist", keys},
		"no server":       {"s3://farm?path_style=true&endpoint=http://127.0.0.1:1", "reach the bucket", keys},
		"no spool folder": {b.address(""), "spool folder", Options{AccessKey: "a", SecretKey: "b", SpoolDir: "/dev/null/x"}},
	} {
		if s, err := Open(t.Context(), c.address, c.opt); err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want a word of %q", name, err, c.say)
			if s != nil {
				_ = s.Close()
			}
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "farm")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "a secret")
	s, err := Open(t.Context(), b.address(""), Options{SpoolDir: t.TempDir()})
	if err != nil {
		t.Fatalf("with credentials in the environment: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	log.Info("x", "secret", Secret("abracadabra"), "options", Options{SecretKey: "abracadabra"})
	fmt.Fprintf(&text, "%v %s %+v %#v", Secret("abracadabra"), Secret("abracadabra"), Options{SecretKey: "abracadabra"}, Options{SecretKey: "abracadabra"})
	if strings.Contains(text.String(), "abracadabra") {
		t.Errorf("the secret shows: %s", text.String())
	}
}

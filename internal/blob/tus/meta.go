package tus

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"drover.farm/internal/blob"
)

// maxMetaHeader bounds the header Upload-Metadata, in bytes.
const maxMetaHeader = 12 << 10

// hashKey is the key of metadata whose value is the hash that the content will
// have, as 64 hexadecimal digits (and so in Base64, as any value of tus).
const hashKey = "sha256"

// parseCreation reads the headers of a creation.
func (h *handler) parseCreation(r *http.Request) (blob.Upload, error) {
	if r.Header.Get("Upload-Defer-Length") != "" {
		return blob.Upload{}, fmt.Errorf("%w: the length must be known at the begin: send Upload-Length", blob.ErrInvalid)
	}
	size, err := parseSize(r.Header, "Upload-Length")
	if err != nil {
		return blob.Upload{}, err
	}
	if h.opt.MaxSize > 0 && size > h.opt.MaxSize {
		return blob.Upload{}, fmt.Errorf("%w: an upload may have %d bytes", blob.ErrTooLarge, h.opt.MaxSize)
	}
	what := blob.Upload{Size: size, Owner: h.opt.Owner(r)}
	if what.Meta, err = parseMeta(strings.Join(r.Header.Values("Upload-Metadata"), ",")); err != nil {
		return blob.Upload{}, err
	}
	if text, ok := what.Meta[hashKey]; ok {
		if what.Want, err = blob.ParseHash(text); err != nil {
			return blob.Upload{}, fmt.Errorf("the metadata sha256: %w", err)
		}
	}
	return what, nil
}

// parseSize reads a header that is a number of bytes.
func parseSize(header http.Header, name string) (int64, error) {
	text := header.Get(name)
	if text == "" {
		return 0, fmt.Errorf("%w: the header %s is missing", blob.ErrInvalid, name)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("%w: the header %s must be a number of bytes", blob.ErrInvalid, name)
	}
	return n, nil
}

// parseMeta reads Upload-Metadata: pairs with commas between them, each a key
// and, after a space, its value in Base64; the value may be missing.
func parseMeta(header string) (map[string]string, error) {
	if len(header) > maxMetaHeader {
		return nil, fmt.Errorf("%w: the header Upload-Metadata may have %d bytes, not %d", blob.ErrInvalid, maxMetaHeader, len(header))
	}
	if strings.Trim(header, " \t,") == "" {
		return nil, nil
	}
	meta := make(map[string]string)
	for pair := range strings.SplitSeq(header, ",") {
		key, text, _ := strings.Cut(strings.Trim(pair, " \t"), " ")
		if !validKey(key) {
			return nil, fmt.Errorf("%w: Upload-Metadata has a key %q; keys are of visible ASCII characters without comma", blob.ErrInvalid, key)
		}
		if _, twice := meta[key]; twice {
			return nil, fmt.Errorf("%w: Upload-Metadata has the key %q twice", blob.ErrInvalid, key)
		}
		value, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(text, " \t"))
		if err != nil {
			return nil, fmt.Errorf("%w: Upload-Metadata has a value for %q that is not in Base64", blob.ErrInvalid, key)
		}
		meta[key] = string(value)
	}
	return meta, nil
}

func validKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c >= 0x7f || c == ',' {
			return false
		}
	}
	return key != ""
}

// formatMeta writes what parseMeta reads, in the order of keys. Keys that a
// header cannot have, from uploads made otherwise, are left out.
func formatMeta(meta map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		if !validKey(key) {
			continue
		}
		pair := key
		if meta[key] != "" {
			pair += " " + base64.StdEncoding.EncodeToString([]byte(meta[key]))
		}
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, ",")
}

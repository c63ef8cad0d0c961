package tus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"drover.farm/internal/blob"
)

// maxName bounds the name of a download in bytes, as file systems do.
const maxName = 255

// ServeBlob answers GET and HEAD with a blob: whole or by ranges, not at all if
// the client has it (the hash is its ETag). The browser saves it under
// filename; any name is made safe. It sets Content-Type, Content-Disposition
// and Cache-Control only if the caller has not. The answer is complete in any
// case; the error is for the caller's log, and nil when the client was at fault.
func ServeBlob(w http.ResponseWriter, r *http.Request, store blob.Store, h blob.Hash, filename string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeProblem(w, http.StatusMethodNotAllowed, "method", "a file can be read by GET and HEAD only")
		return nil
	}
	f, err := store.Open(r.Context(), h)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		writeProblem(w, http.StatusNotFound, "not_found", "the farm does not have this file")
		return nil
	case errors.Is(err, context.Canceled):
		return nil // there is nobody to answer
	case err != nil:
		writeProblem(w, http.StatusInternalServerError, "internal", "the file cannot be read now: try again")
		return fmt.Errorf("serve file %s: %w", h, err)
	}
	defer f.Close()
	header := w.Header()
	header.Set("ETag", `"`+h.String()+`"`)
	header.Set("X-Content-Type-Options", "nosniff")
	// Whatever the content is, a browser that shows it runs nothing of it.
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	setDefault(header, "Content-Type", "application/octet-stream")
	setDefault(header, "Content-Disposition", Disposition(filename))
	setDefault(header, "Cache-Control", "private, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

func setDefault(header http.Header, name, value string) {
	if header.Get(name) == "" {
		header.Set(name, value)
	}
}

// Disposition makes the header by which a browser saves a file under a name
// (RFC 6266). What is a path is cut to its last part; characters that could
// leave the header, or mean something to a shell or a file system, are
// replaced; the name in other alphabets is given beside its plain form.
func Disposition(name string) string {
	name = safeName(name)
	plain := strings.Map(func(c rune) rune {
		if c >= 0x7f || c == '%' {
			return '_'
		}
		return c
	}, name)
	header := `attachment; filename="` + plain + `"`
	if plain != name {
		header += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return header
}

// safeName makes any text the name of a file.
func safeName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), `\`, "/"))
	name = strings.Map(func(c rune) rune {
		switch {
		case c < ' ', c >= 0x7f && c < 0xa0, strings.ContainsRune(`"/\<>:|?*;`, c):
			return '_'
		case c >= 0x202a && c <= 0x202e, c >= 0x2066 && c <= 0x2069, c == 0x200e, c == 0x200f, c == 0x2028, c == 0x2029:
			return -1 // would show the name in another order than it is
		}
		return c
	}, name)
	name = strings.Trim(shorten(name), " .")
	if name == "" {
		return "file"
	}
	return name
}

// shorten cuts a name that is too long before its extension.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 16 {
		ext = ""
	}
	stem := name[:maxName-len(ext)]
	for !utf8.ValidString(stem) {
		stem = stem[:len(stem)-1]
	}
	return stem + ext
}

package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
)

//go:embed static
var staticFiles embed.FS

// assets are the files that pages are drawn with, known by their content: a page
// names one with its hash, so that browsers may keep it for ever.
type assets struct {
	content map[string][]byte
	hash    map[string]string
}

func loadAssets() *assets {
	a := &assets{content: map[string][]byte{}, hash: map[string]string{}}
	root, _ := fs.Sub(staticFiles, "static")
	_ = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, name)
		sum := sha256.Sum256(text)
		a.content[name], a.hash[name] = text, hex.EncodeToString(sum[:6])
		return err
	})
	return a
}

// url is the address of a file as it is now.
func (a *assets) url(name string) string { return Prefix + "static/" + name + "?v=" + a.hash[name] }

// kinds are the types of what is served; others are plain text.
var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// ServeHTTP answers with a file.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, ok := a.content[r.URL.Path]
	if !ok {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	kind := kinds[path.Ext(r.URL.Path)]
	if kind == "" {
		kind = mime.FormatMediaType("text/plain", map[string]string{"charset": "utf-8"})
	}
	etag := `"` + a.hash[r.URL.Path] + `"`
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", etag)
	if r.URL.Query().Get("v") == a.hash[r.URL.Path] {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(text)
}

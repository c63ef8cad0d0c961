package s3

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"drover.farm/internal/blob"
)

// keys makes the keys of objects:
//
//	sha256/ab/<hash>                  a blob; its MD5 is in the metadata
//	uploads/<id>/about                what an unfinished upload is
//	uploads/<id>/part/<offset>        bytes of it, the offset as 16 hex digits
//	finished/<id>                     what a finished upload was and became
//	prune/<hash>/<id>                 a server is about to delete the blob
type keys struct{ prefix string }

func (k keys) blobs() string    { return k.prefix + "sha256/" }
func (k keys) uploads() string  { return k.prefix + "uploads/" }
func (k keys) finished() string { return k.prefix + "finished/" }
func (k keys) prunes() string   { return k.prefix + "prune/" }

func (k keys) blob(h blob.Hash) string {
	s := h.String()
	return k.blobs() + s[:2] + "/" + s
}

func (k keys) upload(id string) string  { return k.uploads() + id + "/" }
func (k keys) about(id string) string   { return k.upload(id) + "about" }
func (k keys) parts(id string) string   { return k.upload(id) + "part/" }
func (k keys) done(id string) string    { return k.finished() + id }
func (k keys) prune(h blob.Hash) string { return k.prunes() + h.String() + "/" }
func (k keys) part(id string, offset int64) string {
	return k.parts(id) + fmt.Sprintf("%016x", offset)
}

// parseBlob tells which blob a key is of.
func (k keys) parseBlob(key string) (blob.Hash, bool) {
	h, err := blob.ParseHash(path.Base(key))
	return h, err == nil && k.blob(h) == key
}

// parsePart tells at which offset a part begins.
func (k keys) parsePart(id, key string) (int64, bool) {
	offset, err := strconv.ParseInt(strings.TrimPrefix(key, k.parts(id)), 16, 64)
	return offset, err == nil && offset >= 0 && k.part(id, offset) == key
}

// parseUpload tells which upload a key below uploads/ or finished/ is of.
func (k keys) parseUpload(root, key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, root)
	id, _, _ := strings.Cut(rest, "/")
	return id, ok && blob.ValidUploadID(id)
}

package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
)

const (
	// maxParts bounds the objects that one upload can make of tiny appends.
	maxParts = 10_000
	// aboutMax bounds what is read of the description of an upload.
	aboutMax = 64 << 10
)

// Uploads are the uploads of a Store. They implement blob.Uploads. Each piece
// that was appended is an object whose key has its offset, written only if
// there is none: servers that do not know of each other cannot both continue an
// upload at the same place.
type Uploads struct {
	s *Store

	mu   sync.Mutex
	busy map[string]bool // uploads that this server is writing
}

var _ blob.Uploads = (*Uploads)(nil)

// about is the description of an upload in the bucket.
type about struct {
	Want  blob.Hash         `json:"want"`
	Size  int64             `json:"size"`
	Owner string            `json:"owner,omitempty"`
	Meta  map[string]string `json:"meta,omitempty"`
	Done  *doneAbout        `json:"done,omitempty"`
}

// doneAbout is the blob that an upload became.
type doneAbout struct {
	SHA256 blob.Hash `json:"sha256"`
	MD5    []byte    `json:"md5"`
	Stored time.Time `json:"stored"`
}

// state is what the bucket says of an upload.
type state struct {
	about
	offset  int64
	parts   []part
	updated time.Time
	done    *blob.Info
}

// part is one appended piece.
type part struct {
	key  string
	size int64
}

func encodeAbout(a about) ([]byte, error) {
	data, err := json.Marshal(a)
	if err == nil && len(data) > aboutMax {
		err = fmt.Errorf("%w: the metadata of the upload is too long", blob.ErrInvalid)
	}
	return data, err
}

func decodeAbout(data []byte) (about, *blob.Info, error) {
	var a about
	if err := json.Unmarshal(data, &a); err != nil {
		return a, nil, fmt.Errorf("the description of the upload is damaged: %w", err)
	}
	if a.Size < 0 || a.Done != nil && (len(a.Done.MD5) != 16 || a.Done.SHA256.IsZero()) {
		return a, nil, errors.New("the description of the upload is damaged")
	}
	if a.Done == nil {
		return a, nil, nil
	}
	return a, &blob.Info{SHA256: a.Done.SHA256, MD5: [16]byte(a.Done.MD5), Size: a.Size, Stored: a.Done.Stored}, nil
}

// Create implements blob.Uploads.
func (u *Uploads) Create(ctx context.Context, what blob.Upload) (string, error) {
	if err := what.Check(); err != nil {
		return "", err
	}
	if what.Size > maxBlob {
		return "", fmt.Errorf("%w: S3 takes %d bytes, not %d", blob.ErrTooLarge, int64(maxBlob), what.Size)
	}
	ctx, end, err := u.s.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	id, err := u.create(ctx, what)
	if err != nil {
		return "", fmt.Errorf("open an upload: %w", cause(ctx, err))
	}
	return id, nil
}

func (u *Uploads) create(ctx context.Context, what blob.Upload) (string, error) {
	if err := u.admit(ctx); err != nil {
		return "", err
	}
	data, err := encodeAbout(about{Want: what.Want, Size: what.Size, Owner: what.Owner, Meta: what.Meta})
	if err != nil {
		return "", err
	}
	id := blob.NewUploadID()
	if err := u.s.write(ctx, u.s.keys.about(id), data); err != nil {
		return "", err
	}
	if what.Size == 0 {
		if _, err := u.Finish(ctx, id); err != nil {
			return "", errors.Join(err, u.clear(ctx, id))
		}
	}
	return id, nil
}

// admit refuses when too many uploads are open on all servers.
func (u *Uploads) admit(ctx context.Context) error {
	open := 0
	opt := minio.ListObjectsOptions{Prefix: u.s.keys.uploads()}
	for o := range u.s.core.ListObjectsIter(ctx, u.s.bucket, opt) {
		if o.Err != nil {
			return asBlob(o.Err)
		}
		if open++; open >= u.s.opt.MaxUploads {
			return fmt.Errorf("%w uploads are open (%d): finish or remove some, or try again later", blob.ErrTooMany, open)
		}
	}
	return nil
}

// take locks an upload against other writers of this server.
func (u *Uploads) take(ctx context.Context, id string) (context.Context, func(), error) {
	if !blob.ValidUploadID(id) {
		return nil, nil, fmt.Errorf("upload: %w", blob.ErrNotFound)
	}
	ctx, end, err := u.s.begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.busy[id] {
		end()
		return nil, nil, blob.ErrBusy
	}
	u.busy[id] = true
	return ctx, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.busy, id)
		end()
	}, nil
}

// Info implements blob.Uploads.
func (u *Uploads) Info(ctx context.Context, id string) (blob.Progress, error) {
	if !blob.ValidUploadID(id) {
		return blob.Progress{}, fmt.Errorf("upload: %w", blob.ErrNotFound)
	}
	if ctx.Err() != nil {
		return blob.Progress{}, context.Cause(ctx)
	}
	st, err := u.state(ctx, id)
	if err != nil {
		return blob.Progress{}, fmt.Errorf("upload: %w", cause(ctx, err))
	}
	what := blob.Upload{Want: st.Want, Size: st.Size, Owner: st.Owner, Meta: st.Meta}
	return blob.Progress{Upload: what, Offset: st.offset, Updated: st.updated, Done: st.done}, nil
}

// state reads what the bucket says: the note of the end if there is one, else
// the description and the parts that follow one another from the begin.
func (u *Uploads) state(ctx context.Context, id string) (state, error) {
	st, err := u.read(ctx, u.s.keys.done(id))
	if err == nil || !errors.Is(err, blob.ErrNotFound) {
		st.offset = st.Size
		return st, err
	}
	if st, err = u.read(ctx, u.s.keys.about(id)); err != nil {
		return state{}, err
	}
	for o := range u.s.list(ctx, u.s.keys.parts(id)) {
		if o.Err != nil {
			return state{}, asBlob(o.Err)
		}
		if at, ok := u.s.keys.parsePart(id, o.Key); !ok || at != st.offset || o.Size > st.Size-st.offset {
			return state{}, fmt.Errorf("the upload has a stray part %s: remove the upload and begin anew", o.Key)
		}
		st.parts = append(st.parts, part{key: o.Key, size: o.Size})
		st.offset += o.Size
		if o.LastModified.After(st.updated) {
			st.updated = o.LastModified
		}
	}
	return st, nil
}

func (u *Uploads) read(ctx context.Context, key string) (state, error) {
	body, o, _, err := u.s.core.GetObject(ctx, u.s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return state{}, asBlob(err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, aboutMax+1))
	if err != nil {
		return state{}, err
	}
	a, done, err := decodeAbout(data)
	return state{about: a, done: done, updated: o.LastModified}, err
}

// Remove implements blob.Uploads.
func (u *Uploads) Remove(ctx context.Context, id string) error {
	ctx, end, err := u.take(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	if _, err := u.state(ctx, id); errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("upload: %w", blob.ErrNotFound)
	}
	if err := u.s.removeObject(ctx, u.s.keys.done(id)); err != nil {
		return fmt.Errorf("remove an upload: %w", cause(ctx, err))
	}
	return u.clear(ctx, id)
}

// clear removes the description and then the parts of an upload.
func (u *Uploads) clear(ctx context.Context, id string) error {
	if err := u.s.removeObject(ctx, u.s.keys.about(id)); err != nil {
		return fmt.Errorf("remove an upload: %w", cause(ctx, err))
	}
	if err := u.s.removeBelow(ctx, u.s.keys.upload(id)); err != nil {
		return fmt.Errorf("remove an upload: %w", cause(ctx, err))
	}
	return nil
}

// removeBelow removes all objects with a prefix, many in one request.
func (s *Store) removeBelow(ctx context.Context, prefix string) error {
	var listErr error
	keys := func(yield func(minio.ObjectInfo) bool) {
		for o := range s.list(ctx, prefix) {
			if o.Err != nil {
				listErr = o.Err
				return
			}
			if !yield(minio.ObjectInfo{Key: o.Key}) {
				return
			}
		}
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, keys, minio.RemoveObjectsOptions{})
	if err != nil {
		return asBlob(err)
	}
	for r := range results {
		if r.Err != nil && err == nil {
			err = asBlob(r.Err)
		}
	}
	return errors.Join(err, listErr, ctx.Err())
}

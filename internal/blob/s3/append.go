package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
)

// Append implements blob.Uploads. Bytes become durable part by part; a piece of
// which a reader failed is a part of its own.
func (u *Uploads) Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	ctx, end, err := u.take(ctx, id)
	if err != nil {
		return 0, err
	}
	defer end()
	st, err := u.state(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("upload: %w", cause(ctx, err))
	}
	if offset != st.offset {
		return st.offset, &blob.OffsetError{Got: offset, Want: st.offset}
	}
	if st.offset == st.Size {
		err = blob.Ended(ctx, r)
	} else {
		err = u.append(ctx, id, &st, r)
	}
	if err != nil {
		return st.offset, fmt.Errorf("append to an upload: %w", cause(ctx, err))
	}
	if st.offset < st.Size {
		return st.offset, nil
	}
	if _, err := u.finish(ctx, id, st); err != nil {
		return st.offset, err
	}
	return st.Size, nil
}

func (u *Uploads) append(ctx context.Context, id string, st *state, r io.Reader) error {
	for st.offset < st.Size {
		left := st.Size - st.offset
		sp, rerr := fillSpool(ctx, u.s.opt.SpoolDir, r, min(left, u.s.partSize(st.Size)), nil)
		err := u.keep(ctx, id, st, sp, r, rerr)
		sp.close()
		if err != nil {
			return err
		}
		if rerr == io.EOF {
			return nil
		}
	}
	return nil
}

// keep makes a part of what came and gives the reader's error on, except for
// its end. More bytes than were announced are found before the last part.
func (u *Uploads) keep(ctx context.Context, id string, st *state, sp *spool, r io.Reader, rerr error) error {
	var failed *spoolError
	if errors.As(rerr, &failed) {
		return rerr
	}
	if st.offset+sp.size == st.Size && rerr == nil {
		if err := blob.Ended(ctx, r); errors.Is(err, blob.ErrTooLarge) {
			return err
		}
	}
	if rerr == io.EOF {
		rerr = nil
	}
	if sp.size == 0 {
		return rerr
	}
	if len(st.parts) >= maxParts {
		return fmt.Errorf("%w appends: an upload may have %d; send longer pieces", blob.ErrTooMany, maxParts)
	}
	// What came is kept also when the client, and with it ctx, has gone.
	safe, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime+sendTime(sp.size))
	defer cancel()
	key := u.s.keys.part(id, st.offset)
	var opt minio.PutObjectOptions
	opt.SetMatchETagExcept("*")
	if err := u.s.send(safe, key, sp, opt); err != nil {
		if existsAlready(err) {
			err = fmt.Errorf("%w: %w", blob.ErrBusy, err)
		}
		return errors.Join(rerr, asBlob(err))
	}
	st.parts = append(st.parts, part{key: key, size: sp.size})
	st.offset += sp.size
	return rerr
}

// sendTime allows for a megabyte a second.
func sendTime(n int64) time.Duration { return time.Duration(n>>20) * time.Second }

// partSize is how long the parts of an upload are, so that they stay below half
// of maxParts when it comes without a break.
func (s *Store) partSize(size int64) int64 { return max(s.opt.PartSize, size/(maxParts/2)+1) }

// Finish implements blob.Uploads.
func (u *Uploads) Finish(ctx context.Context, id string) (blob.Info, error) {
	ctx, end, err := u.take(ctx, id)
	if err != nil {
		return blob.Info{}, err
	}
	defer end()
	st, err := u.state(ctx, id)
	if err != nil {
		return blob.Info{}, fmt.Errorf("upload: %w", cause(ctx, err))
	}
	return u.finish(ctx, id, st)
}

// finish reads the parts once more, checks them and stores them as one blob. It
// goes on when the client has gone: of a long upload the client, or a proxy
// before it, may not wait for the answer, and would find it unfinished forever.
func (u *Uploads) finish(ctx context.Context, id string, st state) (blob.Info, error) {
	if st.done != nil {
		return *st.done, nil
	}
	if st.offset < st.Size {
		return blob.Info{}, fmt.Errorf("finish an upload: %w: %d of %d bytes came", blob.ErrIncomplete, st.offset, st.Size)
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(u.s.done, cancel)()
	info, err := u.assemble(work, st)
	if errors.Is(err, blob.ErrMismatch) {
		return blob.Info{}, errors.Join(err, u.clear(work, id))
	}
	if err != nil {
		// Another server may have finished it, and removed the parts.
		if now, serr := u.state(work, id); serr == nil && now.done != nil {
			return *now.done, nil
		}
		return blob.Info{}, fmt.Errorf("finish an upload: %w", err)
	}
	if err := u.noteDone(work, id, st.about, info); err != nil {
		return blob.Info{}, fmt.Errorf("finish an upload: %w", err)
	}
	if err := u.clear(work, id); err != nil {
		u.s.log.Warn("cannot remove the parts of a finished upload; they will expire", "upload", id, "error", err)
	}
	return info, nil
}

// assemble stores the parts as a blob.
func (u *Uploads) assemble(ctx context.Context, st state) (blob.Info, error) {
	r := &partsReader{ctx: ctx, s: u.s, parts: st.parts}
	defer r.close()
	return u.s.put(ctx, blob.WithSize(r, st.Size), &st.Want)
}

func (u *Uploads) noteDone(ctx context.Context, id string, a about, info blob.Info) error {
	a.Done = &doneAbout{SHA256: info.SHA256, MD5: info.MD5[:], Stored: info.Stored}
	data, err := encodeAbout(a)
	if err != nil {
		return err
	}
	return u.s.write(ctx, u.s.keys.done(id), data)
}

// partsReader reads the parts of an upload one after the other.
type partsReader struct {
	ctx   context.Context
	s     *Store
	parts []part
	body  io.ReadCloser
	left  int64
}

func (r *partsReader) Read(p []byte) (int, error) {
	for r.left == 0 {
		r.close()
		if len(r.parts) == 0 {
			return 0, io.EOF
		}
		next := r.parts[0]
		body, _, _, err := r.s.core.GetObject(r.ctx, r.s.bucket, next.key, minio.GetObjectOptions{})
		if err != nil {
			return 0, fmt.Errorf("read a part of an upload: %w", asBlob(err))
		}
		r.parts, r.body, r.left = r.parts[1:], body, next.size
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err == io.EOF {
		err = nil
		if r.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

func (r *partsReader) close() {
	if r.body != nil {
		_ = r.body.Close() // it was read, or is not wanted any more
		r.body = nil
	}
}

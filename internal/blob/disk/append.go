package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"drover.farm/internal/blob"
)

// Append implements blob.Uploads.
func (u *Uploads) Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	up, end, err := u.take(id)
	if err != nil {
		return 0, err
	}
	defer end()
	if at := up.mark.offset; offset != at {
		return at, &blob.OffsetError{Got: offset, Want: at}
	}
	if up.done == nil {
		if err := u.append(ctx, up, r); err != nil {
			return up.mark.offset, fmt.Errorf("append to an upload: %w", blob.AsFull(err))
		}
	} else if err := blob.Ended(ctx, r); err != nil {
		return up.mark.offset, err
	}
	if up.mark.offset < up.what.Size {
		return up.mark.offset, nil
	}
	if _, err := u.finish(up); err != nil {
		return up.mark.offset, err
	}
	return up.what.Size, nil
}

// appending is one Append under way.
type appending struct {
	u           *Uploads
	up          *upload
	data, state *os.File
	hash        *blob.Hasher
	unsaved     int64 // bytes written since the last mark
}

func (u *Uploads) append(ctx context.Context, up *upload, r io.Reader) error {
	if up.mark.offset == up.what.Size {
		return blob.Ended(ctx, r)
	}
	if err := u.regain(up); err != nil {
		return err
	}
	a := &appending{u: u, up: up}
	err := a.open(ctx)
	if err == nil {
		err = a.copy(ctx, r)
	}
	return errors.Join(err, a.close())
}

// open cuts off what a crash or an error left beyond the mark and takes up the
// hash.
func (a *appending) open(ctx context.Context) (err error) {
	if a.state, err = os.OpenFile(a.u.statePath(a.up.id), os.O_RDWR, 0); err != nil {
		return err
	}
	if a.data, err = os.OpenFile(a.u.dataPath(a.up.id), os.O_RDWR, 0); err != nil {
		return err
	}
	if err = a.data.Truncate(a.up.mark.offset); err != nil {
		return err
	}
	if a.hash, err = a.up.hasher(ctx, a.data); err != nil {
		return err
	}
	_, err = a.data.Seek(a.up.mark.offset, io.SeekStart)
	return err
}

// hasher takes up the hash of an upload; when its state is of another release
// of Go, from the data.
func (up *upload) hasher(ctx context.Context, data io.ReaderAt) (*blob.Hasher, error) {
	h := blob.NewHasher()
	if err := h.UnmarshalBinary(up.mark.hash); err == nil && h.Size() == up.mark.offset {
		return h, nil
	}
	h = blob.NewHasher()
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	r := io.NewSectionReader(data, 0, up.mark.offset)
	for {
		n, err := blob.Fill(ctx, r, *buf)
		_, _ = h.Write((*buf)[:n]) // never fails
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("hash an upload again: %w", err)
		}
	}
	if h.Size() != up.mark.offset {
		return nil, errBadState
	}
	return h, nil
}

// copy reads r into the data. Whatever ends it, what came until then is saved,
// except when more came than was announced.
func (a *appending) copy(ctx context.Context, r io.Reader) error {
	buf := pieces.Get().(*[]byte)
	defer pieces.Put(buf)
	for {
		left := a.up.what.Size - a.hash.Size()
		if left == 0 {
			if err := blob.Ended(ctx, r); err != nil && errors.Is(err, blob.ErrTooLarge) {
				return a.cut(err)
			}
			return a.save()
		}
		n, rerr := blob.Fill(ctx, r, (*buf)[:min(left, pieceSize)])
		if err := a.write((*buf)[:n]); err != nil {
			return a.cut(err)
		}
		if rerr == nil {
			rerr = a.u.s.running(ctx)
		}
		if rerr == io.EOF {
			return a.save()
		}
		if rerr != nil {
			return errors.Join(rerr, a.save())
		}
		if a.unsaved >= a.u.s.opt.Checkpoint {
			if err := a.save(); err != nil {
				return err
			}
		}
	}
}

func (a *appending) write(piece []byte) error {
	return a.hash.Beside(piece, func() error {
		n, err := a.data.Write(piece)
		a.unsaved += int64(n)
		a.u.s.acct.wrote(int64(n))
		return err
	})
}

// save makes the bytes so far durable and then says so in the state.
func (a *appending) save() error {
	if a.unsaved == 0 {
		return nil
	}
	if err := a.data.Sync(); err != nil {
		return a.cut(err)
	}
	a.u.s.opt.at("append: data synced")
	hash, err := a.hash.MarshalBinary()
	if err != nil {
		return a.cut(err)
	}
	m := mark{number: a.up.mark.number + 1, offset: a.hash.Size(), updated: a.u.s.opt.Now(), hash: hash}
	if err := writeMark(a.state, m); err != nil {
		return a.cut(err)
	}
	a.u.s.opt.at("append: marked")
	a.up.mu.Lock()
	a.up.mark = m
	a.up.mu.Unlock()
	a.unsaved = 0
	return nil
}

// cut takes back the bytes since the last mark and gives the reason on.
func (a *appending) cut(reason error) error {
	a.u.s.acct.wrote(-a.unsaved)
	a.unsaved = 0
	return errors.Join(reason, a.data.Truncate(a.up.mark.offset))
}

func (a *appending) close() error {
	var errs []error
	for _, f := range []*os.File{a.data, a.state} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Finish implements blob.Uploads.
func (u *Uploads) Finish(_ context.Context, id string) (blob.Info, error) {
	up, end, err := u.take(id)
	if err != nil {
		return blob.Info{}, err
	}
	defer end()
	return u.finish(up)
}

func (u *Uploads) finish(up *upload) (blob.Info, error) {
	if up.done != nil {
		return *up.done, nil
	}
	if up.mark.offset < up.what.Size {
		return blob.Info{}, fmt.Errorf("finish an upload: %w: %d of %d bytes came", blob.ErrIncomplete, up.mark.offset, up.what.Size)
	}
	info, err := u.makeBlob(up)
	if errors.Is(err, blob.ErrMismatch) || errors.Is(err, blob.ErrNotFound) {
		return blob.Info{}, errors.Join(err, u.drop(up))
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("finish an upload: %w", blob.AsFull(err))
	}
	u.s.opt.at("finish: committed")
	// The blob is safe. If the note of it cannot be written, a restart finds
	// the blob by its hash, so the client need not be troubled.
	if err := u.writeState(up, &info); err != nil {
		u.s.log.Warn("cannot note that an upload is finished", "upload", up.id, "error", err)
	}
	up.mu.Lock()
	up.done = &info
	up.mu.Unlock()
	u.remember(up.id)
	return info, nil
}

// makeBlob moves the data into the store, or finds that a crash came after
// that had been done.
func (u *Uploads) makeBlob(up *upload) (blob.Info, error) {
	f, err := os.OpenFile(u.dataPath(up.id), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return u.recover(up)
	}
	if err != nil {
		return blob.Info{}, err
	}
	defer f.Close() // a second Close after settle is harmless
	if err := f.Truncate(up.what.Size); err != nil {
		return blob.Info{}, err
	}
	h, err := up.hasher(context.Background(), f)
	if err != nil {
		return blob.Info{}, err
	}
	info := h.Info()
	if !up.what.Want.IsZero() && info.SHA256 != up.what.Want {
		return blob.Info{}, fmt.Errorf("%w: it is %s, not %s", blob.ErrMismatch, info.SHA256, up.what.Want)
	}
	info.Stored = u.s.opt.Now()
	if err := settle(f, info); err != nil {
		return blob.Info{}, err
	}
	return info, u.s.commit(f.Name(), info, up.what.Size)
}

// recover fails with blob.ErrNotFound if the blob was deleted since.
func (u *Uploads) recover(up *upload) (blob.Info, error) {
	h := blob.NewHasher()
	if err := h.UnmarshalBinary(up.mark.hash); err != nil || h.Size() != up.what.Size {
		return blob.Info{}, errBadState
	}
	info, err := u.s.Touch(context.Background(), h.Info().SHA256)
	if err != nil {
		return blob.Info{}, err
	}
	u.s.acct.settle(up.what.Size, 0, 0) // its bytes are those of the blob
	return info, nil
}

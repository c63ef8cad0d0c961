package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"drover.farm/internal/blob"
)

const (
	stateExt = ".state"
	dataExt  = ".data"
)

// Uploads are the uploads of a Store. They implement blob.Uploads.
type Uploads struct {
	s   *Store
	dir string

	mu   sync.Mutex
	all  map[string]*upload
	open int // those not finished
	// finished are the others, oldest first. As many are kept as may be open:
	// they wait for clients that lost their last answer.
	finished []string
}

var _ blob.Uploads = (*Uploads)(nil)

// upload is one upload. Its busy lock is held by whoever writes it; the fields
// below mu are also read by others.
type upload struct {
	id   string
	what blob.Upload
	busy sync.Mutex
	held int64 // bytes that the account promises it; guarded by busy

	mu   sync.Mutex
	mark mark
	done *blob.Info
	gone bool
}

func newUploads(s *Store) *Uploads {
	return &Uploads{s: s, dir: filepath.Join(s.dir, uploadDir), all: make(map[string]*upload)}
}

func (u *Uploads) statePath(id string) string { return filepath.Join(u.dir, id+stateExt) }
func (u *Uploads) dataPath(id string) string  { return filepath.Join(u.dir, id+dataExt) }

// load takes up what a former process left. What cannot be read is set aside
// by removing it: its client begins anew, as after an expiry.
func (u *Uploads) load() error {
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return fmt.Errorf("take up uploads: %w", err)
	}
	for _, e := range entries {
		id, isState := strings.CutSuffix(e.Name(), stateExt)
		if !isState || !blob.ValidUploadID(id) {
			continue
		}
		if err := u.loadOne(id); err != nil {
			u.s.log.Warn("dropped an upload that cannot be taken up", "upload", id, "error", err)
			if err := os.Remove(u.statePath(id)); err != nil {
				return fmt.Errorf("take up uploads: %w", err)
			}
		}
	}
	for _, e := range entries {
		if u.belongs(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(u.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep uploads: %w", err)
		}
	}
	return nil
}

// belongs tells whether a file is of an upload that was taken up.
func (u *Uploads) belongs(name string) bool {
	ext := filepath.Ext(name)
	up := u.all[strings.TrimSuffix(name, ext)]
	return up != nil && (ext == stateExt || ext == dataExt && up.done == nil)
}

func (u *Uploads) loadOne(id string) error {
	m, r, err := readState(u.statePath(id))
	if err != nil {
		return err
	}
	up := &upload{id: id, mark: m, what: blob.Upload{Want: r.Want, Size: r.Size, Owner: r.Owner, Meta: r.Meta}}
	if r.Done != nil {
		up.done = &blob.Info{SHA256: r.Done.SHA256, MD5: [16]byte(r.Done.MD5), Size: r.Size, Stored: r.Done.Stored}
		u.all[id] = up
		u.finished = append(u.finished, id)
		return nil
	}
	st, err := os.Stat(u.dataPath(id))
	switch {
	case errors.Is(err, fs.ErrNotExist) && m.offset == r.Size:
		// The crash came after the data became a blob: Finish finds it there.
		u.s.acct.adopt(r.Size, 0)
	case err != nil:
		return err
	case st.Size() < m.offset:
		return errBadState
	default:
		u.s.acct.adopt(r.Size, r.Size-m.offset)
	}
	up.held = r.Size
	u.all[id] = up
	u.open++
	return nil
}

// Create implements blob.Uploads.
func (u *Uploads) Create(ctx context.Context, what blob.Upload) (string, error) {
	if err := what.Check(); err != nil {
		return "", err
	}
	if err := u.s.begin(); err != nil {
		return "", err
	}
	defer u.s.ops.Done()
	if err := u.s.quotaKnown(ctx); err != nil {
		return "", err
	}
	if err := u.admit(what.Owner); err != nil {
		return "", err
	}
	up, err := u.create(what.Clone())
	if err != nil {
		u.leave()
		return "", fmt.Errorf("open an upload: %w", blob.AsFull(err))
	}
	u.mu.Lock()
	u.all[up.id] = up
	u.mu.Unlock()
	if what.Size == 0 {
		if _, err := u.Finish(ctx, up.id); err != nil {
			return "", errors.Join(err, u.discard(up.id))
		}
	}
	return up.id, nil
}

// discard removes an upload that may be gone already.
func (u *Uploads) discard(id string) error {
	err := u.Remove(context.Background(), id)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// remember turns an open upload into a finished one and forgets the oldest of
// too many.
func (u *Uploads) remember(id string) {
	u.mu.Lock()
	u.open--
	u.finished = append(u.finished, id)
	var old string
	if len(u.finished) > u.s.opt.MaxUploads {
		old, u.finished = u.finished[0], u.finished[1:]
	}
	u.mu.Unlock()
	if old == "" || old == id {
		return
	}
	if err := u.discard(old); err != nil && !errors.Is(err, blob.ErrBusy) {
		u.s.log.Warn("cannot forget a finished upload", "upload", old, "error", err)
	}
}

// admit counts an open upload, or refuses. No owner has more than half of what
// there may be, lest it keep all others out.
func (u *Uploads) admit(owner string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	most := u.s.opt.MaxUploads
	if u.open >= most {
		return fmt.Errorf("%w uploads are open (%d): finish or remove some, or try again later", blob.ErrTooMany, u.open)
	}
	if share := (most + 1) / 2; owner != "" && u.open >= share && u.openOf(owner) >= share {
		return fmt.Errorf("%w uploads of %s are open (%d): finish or remove some", blob.ErrTooMany, owner, share)
	}
	u.open++
	return nil
}

// openOf counts an owner's open uploads; the lock is held.
func (u *Uploads) openOf(owner string) (n int) {
	for _, up := range u.all {
		up.mu.Lock()
		if up.what.Owner == owner && up.done == nil {
			n++
		}
		up.mu.Unlock()
	}
	return n
}

func (u *Uploads) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open--
}

func (u *Uploads) create(what blob.Upload) (*upload, error) {
	if err := u.s.reserve(what.Size); err != nil {
		return nil, err
	}
	up := &upload{id: blob.NewUploadID(), what: what, held: what.Size}
	err := u.createFiles(up)
	if err != nil {
		u.s.acct.release(what.Size, what.Size)
		return nil, errors.Join(err, u.removeFiles(up.id))
	}
	return up, nil
}

func (u *Uploads) createFiles(up *upload) error {
	hash, err := blob.NewHasher().MarshalBinary()
	if err != nil {
		return err
	}
	up.mark = mark{updated: u.s.opt.Now(), hash: hash}
	f, err := os.OpenFile(u.dataPath(up.id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	u.s.opt.at("create: data")
	return u.writeState(up, nil)
}

// writeState replaces the whole state file, durably.
func (u *Uploads) writeState(up *upload, done *blob.Info) error {
	r := record{Want: up.what.Want, Size: up.what.Size, Owner: up.what.Owner, Meta: up.what.Meta}
	if done != nil {
		r.Done = &doneRecord{SHA256: done.SHA256, MD5: done.MD5[:], Stored: done.Stored}
	}
	state, err := encodeState(up.mark, r)
	if err != nil {
		return err
	}
	if len(state) > stateMax {
		return fmt.Errorf("%w: the metadata of the upload is too long", blob.ErrInvalid)
	}
	return writeDurably(u.statePath(up.id), state, u.s.opt.syncDir)
}

func (u *Uploads) find(id string) (*upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.all[id]
	if up == nil {
		return nil, fmt.Errorf("upload: %w", blob.ErrNotFound)
	}
	return up, nil
}

// take finds an upload and locks it for writing; the caller calls the function
// it gets.
func (u *Uploads) take(id string) (*upload, func(), error) {
	if err := u.s.begin(); err != nil {
		return nil, nil, err
	}
	up, err := u.find(id)
	if err == nil && !up.busy.TryLock() {
		err = blob.ErrBusy
	}
	if err != nil {
		u.s.ops.Done()
		return nil, nil, err
	}
	end := func() { up.busy.Unlock(); u.s.ops.Done() }
	if up.gone {
		end()
		return nil, nil, fmt.Errorf("upload: %w", blob.ErrNotFound)
	}
	return up, end, nil
}

// Info implements blob.Uploads.
func (u *Uploads) Info(ctx context.Context, id string) (blob.Progress, error) {
	if ctx.Err() != nil {
		return blob.Progress{}, context.Cause(ctx)
	}
	up, err := u.find(id)
	if err != nil {
		return blob.Progress{}, err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	p := blob.Progress{Upload: up.what.Clone(), Offset: up.mark.offset, Updated: up.mark.updated}
	if up.done != nil {
		done := *up.done
		p.Done = &done
	}
	return p, nil
}

// Remove implements blob.Uploads.
func (u *Uploads) Remove(_ context.Context, id string) error {
	up, end, err := u.take(id)
	if err != nil {
		return err
	}
	defer end()
	return u.drop(up)
}

// drop forgets an upload whose busy lock the caller holds, or that nobody else
// knows yet.
func (u *Uploads) drop(up *upload) error {
	if up.gone {
		return nil
	}
	if err := u.removeFiles(up.id); err != nil {
		return fmt.Errorf("remove an upload: %w", err)
	}
	up.gone = true
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, up.id)
	u.finished = slices.DeleteFunc(u.finished, func(id string) bool { return id == up.id })
	if up.done == nil {
		u.open--
		u.s.acct.release(up.held, up.held-up.mark.offset)
	}
	return nil
}

// removeFiles removes the state first: data without a state is swept.
func (u *Uploads) removeFiles(id string) error {
	for _, path := range []string{u.statePath(id), u.dataPath(id)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Expire implements blob.Uploads.
func (u *Uploads) Expire(ctx context.Context, before time.Time) (int, error) {
	u.mu.Lock()
	var old []string
	for id, up := range u.all {
		up.mu.Lock()
		if up.mark.updated.Before(before) {
			old = append(old, id)
		}
		up.mu.Unlock()
	}
	u.mu.Unlock()
	n := 0
	for _, id := range old {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		gone, err := u.expireOne(id, before)
		if err != nil {
			return n, err
		}
		if gone {
			n++
		}
	}
	return n, nil
}

func (u *Uploads) expireOne(id string, before time.Time) (bool, error) {
	up, end, err := u.take(id)
	if errors.Is(err, blob.ErrBusy) || errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer end()
	if !up.mark.updated.Before(before) {
		return false, nil
	}
	return true, u.drop(up)
}

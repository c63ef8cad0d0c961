package sheepit

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"sync"
	"time"

	"drover.farm/internal/archive"
	"drover.farm/internal/blob"
	"drover.farm/internal/farm"
)

// packPrefix begins the keys of the door's packs. The number is that of the form:
// packs of an earlier one are not used any more.
const packPrefix = "sheepit/2/"

// packer makes the archives that clients fetch, each once, some at a time.
type packer struct {
	d      *Door
	ctx    context.Context // of the makings; ends with the door
	end    context.CancelFunc
	places chan struct{}
	wait   sync.WaitGroup

	mu     sync.Mutex // guards making
	making map[string]*making
}

// making is an archive that is being made.
type making struct {
	done chan struct{}
	pack *farm.Pack
	err  error
}

func newPacker(d *Door) *packer {
	ctx, end := context.WithCancel(context.Background())
	return &packer{d: d, ctx: ctx, end: end, places: make(chan struct{}, 2), making: make(map[string]*making)}
}

func (p *packer) close() {
	p.end()
	p.wait.Wait()
}

// errNotReady means that an archive is still being made.
var errNotReady = refused(requestNothing, "an archive is still being made")

// get finds a pack, or makes it and waits for that as long as the setting
// pack_wait says. What is being made goes on without who asked for it.
func (p *packer) get(ctx context.Context, row farm.Pack, write func(ctx context.Context, w io.Writer) error) (*farm.Pack, error) {
	have, err := p.d.Farm.Pack(ctx, row.Key)
	if err == nil || farm.CodeOf(err) != farm.NotFound {
		return have, err
	}
	m := p.start(row, write)
	t := time.NewTimer(p.d.PackWait)
	defer t.Stop()
	select {
	case <-m.done:
		return m.pack, m.err
	case <-t.C:
	case <-ctx.Done():
	}
	return nil, errNotReady
}

func (p *packer) start(row farm.Pack, write func(ctx context.Context, w io.Writer) error) *making {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.making[row.Key]; m != nil {
		return m
	}
	m := &making{done: make(chan struct{})}
	p.making[row.Key] = m
	p.wait.Go(func() {
		m.pack, m.err = p.make(row, write)
		p.mu.Lock()
		delete(p.making, row.Key)
		p.mu.Unlock()
		close(m.done)
	})
	return m
}

// make writes an archive into the store of files and keeps it as a pack.
func (p *packer) make(row farm.Pack, write func(ctx context.Context, w io.Writer) error) (*farm.Pack, error) {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-p.ctx.Done():
		return nil, errNotReady
	}
	start := time.Now()
	sums := &pieces{size: p.d.ChunkSize, h: md5.New()}
	r, w := io.Pipe()
	p.wait.Go(func() {
		b := bufio.NewWriterSize(w, 256<<10)
		err := write(p.ctx, io.MultiWriter(b, sums))
		if err == nil {
			err = b.Flush()
		}
		w.CloseWithError(err)
	})
	info, err := p.d.Blobs.Put(p.ctx, r, nil)
	r.CloseWithError(err)
	if err != nil {
		p.d.Log.Warn("an archive for SheepIt clients could not be made", "pack", row.Key, "err", err)
		return nil, err
	}
	row.SHA256, row.MD5, row.Size = info.SHA256.String(), hex.EncodeToString(info.MD5[:]), info.Size
	row.Parts, row.Piece = sums.end(), sums.size
	if err := p.d.Farm.PutPack(p.ctx, row); err != nil {
		return nil, err
	}
	p.d.Log.Info("archive for SheepIt clients made", "pack", row.Key, "bytes", row.Size, "took", time.Since(start).Round(time.Millisecond))
	return &row, nil
}

// pieces takes the MD5 of each piece of what is written to it.
type pieces struct {
	size, at int64
	h        hash.Hash
	sums     []string
}

func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		k := min(int64(len(b)), p.size-p.at)
		p.h.Write(b[:k])
		b, p.at = b[k:], p.at+k
		if p.at == p.size {
			p.cut()
		}
	}
	return n, nil
}

func (p *pieces) cut() {
	p.sums = append(p.sums, hex.EncodeToString(p.h.Sum(nil)))
	p.h.Reset()
	p.at = 0
}

// end is the sums of all pieces; an empty file is one piece.
func (p *pieces) end() []string {
	if p.at > 0 || len(p.sums) == 0 {
		p.cut()
	}
	return p.sums
}

// project is the archive of a job's files.
func (p *packer) project(ctx context.Context, j *farm.Job) (*farm.Pack, error) {
	row := farm.Pack{Key: projectKey(j.ID), Job: j.ID}
	return p.get(ctx, row, func(ctx context.Context, w io.Writer) error { return p.writeProject(ctx, w, &j.Spec) })
}

func projectKey(job int64) string { return packPrefix + "job/" + strconv.FormatInt(job, 10) }

func (p *packer) writeProject(ctx context.Context, w io.Writer, s *farm.Spec) error {
	z := archive.NewZipWriter(w, s.Password)
	l := newLayout(s)
	made := make(map[string]bool)
	for i, f := range s.Files {
		for _, dir := range folders(l.names[i]) {
			if made[dir] {
				continue
			}
			made[dir] = true
			if err := z.Folder(dir); err != nil {
				return err
			}
		}
		if err := p.addBlob(ctx, z, l.names[i], f); err != nil {
			return err
		}
	}
	return z.Close()
}

func (p *packer) addBlob(ctx context.Context, z *archive.ZipWriter, name string, f farm.File) error {
	h, err := blob.ParseHash(f.SHA256)
	if err != nil {
		return err
	}
	file, err := p.d.Blobs.Open(ctx, h)
	if errors.Is(err, blob.ErrNotFound) {
		return farm.Errorf(farm.NotFound, "the file %s of the job is not in the store of files any more", f.Name)
	} else if err != nil {
		return err
	}
	defer file.Close()
	w, err := z.File(name, false, f.Mode&0o111 != 0)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, file); err != nil {
		return fmt.Errorf("pack %s: %w", f.Name, err)
	}
	return nil
}

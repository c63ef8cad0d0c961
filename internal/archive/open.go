package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// Kind is what an entry is.
type Kind int

// The kinds of entries.
const (
	File Kind = iota
	Folder
	Symlink
	Hardlink
)

// Entry is one entry of an archive. Its name has been checked: relative, with
// slashes, without . or .. parts.
type Entry struct {
	Name   string
	Kind   Kind
	Exec   bool   // any of its mode's execute bits
	Target string // of a link: as written for a Symlink, an earlier File's name for a Hardlink
	Size   int64  // announced
}

// Options are how an archive is read.
type Options struct {
	Limits   Limits
	Password string // of an encrypted zip

	// For Unpack: the folder of the archive whose content alone is unpacked, ""
	// for all; and what is done to the unpacked folder before it gets its name.
	Root   string
	Finish func(dir string) error
	// Lasting has what was unpacked survive a power cut, too: a folder that then
	// had its name but not its content would be taken for whole.
	Lasting bool
}

// Walk reads the archive of size bytes at r from front to back and calls visit
// with each entry; body is the content of a File and must be read by visit. It
// fails with a *Refusal for an entry or an archive that is not allowed, before
// visit sees that entry, and with visit's own error.
func Walk(ctx context.Context, r io.ReaderAt, size int64, o Options, visit func(e Entry, body io.Reader) error) error {
	w := &walker{ctx: ctx, limits: o.Limits.withDefaults(), password: o.Password, size: size, visit: visit,
		seen: make(map[string]Kind)}
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the archive: %w", err)
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return w.zip(r, size)
	}
	stream, done, err := unpacked(head, io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	defer done()
	return w.tar(stream)
}

// xzMemory is the largest dictionary of an xz stream; `xz -9` uses 64 MiB.
const xzMemory = 128 << 20

// unpacked undoes the compression that the first bytes tell of.
func unpacked(head []byte, r io.Reader) (io.Reader, func(), error) {
	nothing := func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		return z, nothing, damaged(err)
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(r), nothing, nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		z, err := xz.NewReader(r, xzMemory)
		return z, nothing, damaged(err)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(xzMemory), zstd.WithDecoderMaxWindow(xzMemory), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nothing, damaged(err)
		}
		return z, z.Close, nil
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return r, nothing, nil
	}
	return nil, nothing, refuse("", "it is neither a zip nor a tar (plain, gzip, bzip2, xz or zstd)")
}

func damaged(err error) error {
	if err == nil {
		return nil
	}
	return refuse("", "it is damaged: %v", err)
}

// walker checks entries as they come.
type walker struct {
	ctx      context.Context
	limits   Limits
	password string
	size     int64
	visit    func(Entry, io.Reader) error
	seen     map[string]Kind
	total    int64
	count    int
}

// entry checks one entry and hands it on.
func (w *walker) entry(e Entry, body io.Reader) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.count++; w.count > w.limits.Entries {
		return refuse(e.Name, "is one more than the %d entries allowed", w.limits.Entries)
	}
	if e.Size < 0 || w.total+e.Size > w.limits.Bytes {
		return refuse(e.Name, "brings the archive above the %d bytes allowed", w.limits.Bytes)
	}
	raw := e.Name
	name, err := w.name(raw)
	if err != nil || name == "" {
		return err
	}
	e.Name = name
	if old, there := w.seen[name]; there && (e.Kind != Folder || old != Folder) {
		return refuse(raw, "is there twice")
	}
	for at := strings.IndexByte(name, '/'); at >= 0; {
		if k, there := w.seen[name[:at]]; !there {
			w.seen[name[:at]] = Folder
		} else if k != Folder {
			return refuse(raw, "lies below %q, which is no folder", name[:at])
		}
		next := strings.IndexByte(name[at+1:], '/')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if err := w.link(&e, raw); err != nil {
		return err
	}
	w.seen[name] = e.Kind
	if e.Kind != File {
		body = nil
	} else {
		body = &meter{r: body, w: w, entry: raw}
	}
	return w.visit(e, body)
}

// link checks where a link leads.
func (w *walker) link(e *Entry, raw string) error {
	switch e.Kind {
	case Symlink:
		t := e.Target
		if t == "" || len(t) > w.limits.Path || strings.ContainsAny(t, "\\:\x00") || strings.HasPrefix(t, "/") {
			return refuse(raw, "is a link to %q, which is not a relative path", clip(t))
		}
		if !filepath.IsLocal(filepath.Join(filepath.Dir(filepath.FromSlash(e.Name)), filepath.FromSlash(t))) {
			return refuse(raw, "is a link to %q, outside of the archive", clip(t))
		}
	case Hardlink:
		t, err := w.name(e.Target)
		if err != nil {
			return refuse(raw, "is a link to %q, which is not allowed", clip(e.Target))
		}
		if k, there := w.seen[t]; !there || k != File {
			return refuse(raw, "is a hard link to %q, which is no file before it", clip(e.Target))
		}
		e.Target = t
	}
	return nil
}

// name checks a path and cleans what is harmless: "./" before it and "/" after
// it. It is empty for the root itself.
func (w *walker) name(raw string) (string, error) {
	s := raw
	for strings.HasPrefix(s, "./") {
		s = s[2:]
	}
	s = strings.TrimSuffix(s, "/")
	switch {
	case s == "." || s == "" && raw != "":
		if strings.HasPrefix(raw, "/") {
			return "", refuse(raw, "is absolute")
		}
		return "", nil
	case s == "":
		return "", refuse(raw, "has no name")
	case len(s) > w.limits.Path:
		return "", refuse(raw, "has a path of %d bytes, more than the %d allowed", len(s), w.limits.Path)
	case !utf8.ValidString(s):
		return "", refuse(raw, "has a name that is not UTF-8")
	case strings.HasPrefix(s, "/"):
		return "", refuse(raw, "is absolute")
	case strings.Contains(s, "\\"):
		return "", refuse(raw, "has a backslash in its path")
	case len(s) >= 2 && s[1] == ':':
		return "", refuse(raw, "begins with a drive")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", refuse(raw, "has control characters in its name")
	}
	parts := strings.Split(s, "/")
	if len(parts) > w.limits.Depth {
		return "", refuse(raw, "lies in %d folders, more than the %d allowed", len(parts)-1, w.limits.Depth-1)
	}
	for _, p := range parts {
		if p == "" || p == "." || p == ".." {
			return "", refuse(raw, "has a part %q in its path", p)
		}
		if len(p) > 255 {
			return "", refuse(raw, "has a name of %d bytes, more than the 255 that file systems allow", len(p))
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(s)) {
		return "", refuse(raw, "has a name that this system reserves")
	}
	return s, nil
}

// meter counts what comes out of an archive against its limits.
type meter struct {
	r     io.Reader
	w     *walker
	entry string
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.w.total += int64(n)
	switch l := m.w.limits; {
	case m.w.total > l.Bytes:
		return 0, refuse(m.entry, "brings the archive above the %d bytes allowed", l.Bytes)
	case m.w.total > ratioFrom && m.w.total/l.Ratio > m.w.size:
		return 0, refuse(m.entry, "unpacks to more than %d times its size: a bomb", l.Ratio)
	case err != nil && err != io.EOF && !errors.Is(err, ErrPassword) && m.w.ctx.Err() == nil:
		return n, refuse(m.entry, "is damaged: %v", err)
	}
	return n, err
}

func (w *walker) tar(r io.Reader) error {
	// Headers are bounded by archive/tar itself; what lies between them is
	// counted here, so that padding cannot go on for ever.
	end := &zeros{r: &meter{r: r, w: &walker{ctx: w.ctx, limits: w.loose(), size: w.size}, entry: ""}}
	t := tar.NewReader(end)
	for {
		h, err := t.Next()
		if err == io.EOF && end.n < tarBlock {
			return refuse("", "it is cut short: the end mark is missing")
		}
		if err == io.EOF {
			return nil
		}
		var refused *Refusal
		if errors.As(err, &refused) || w.ctx.Err() != nil {
			return err
		}
		if err != nil {
			return damaged(err)
		}
		e := Entry{Name: h.Name, Exec: h.Mode&0o111 != 0, Target: h.Linkname, Size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg, '\x00', tar.TypeGNUSparse:
			e.Kind = File
		case tar.TypeDir:
			e.Kind, e.Size = Folder, 0
		case tar.TypeSymlink:
			e.Kind, e.Size = Symlink, 0
		case tar.TypeLink:
			e.Kind, e.Size = Hardlink, 0
		case tar.TypeXGlobalHeader:
			continue
		default:
			return refuse(h.Name, "is a device, a pipe or of another kind that is not unpacked (type %q)", h.Typeflag)
		}
		if h.Mode&0o7000 != 0 && e.Kind == File {
			return refuse(h.Name, "is set-user-id, set-group-id or sticky (mode %o)", h.Mode)
		}
		if err := w.entry(e, t); err != nil {
			return err
		}
	}
}

// tarBlock is the unit of a tar; it ends with blocks of zeros.
const tarBlock = 512

// zeros counts the zero bytes at the end of what was read.
type zeros struct {
	r io.Reader
	n int
}

func (z *zeros) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	tail := bytes.TrimRight(p[:n], "\x00")
	if len(tail) > 0 {
		z.n = 0
	}
	z.n = min(z.n+n-len(tail), tarBlock)
	return n, err
}

// loose are the limits of the tar stream itself: its headers come on top.
func (w *walker) loose() Limits {
	l := w.limits
	l.Bytes += int64(l.Entries)*8192 + 1<<20
	return l
}

func (w *walker) zip(r io.ReaderAt, size int64) error {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return damaged(err)
	}
	for _, f := range z.File {
		if err := w.zipEntry(f); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) zipEntry(f *zip.File) error {
	mode := f.Mode()
	e := Entry{Name: f.Name, Exec: mode&0o111 != 0}
	switch {
	case mode.IsDir():
		e.Kind = Folder
		return w.entry(e, nil)
	case mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0:
		return refuse(f.Name, "is set-user-id, set-group-id or sticky")
	case mode&fs.ModeSymlink == 0 && !mode.IsRegular():
		return refuse(f.Name, "is a device, a pipe or of another kind that is not unpacked")
	case f.UncompressedSize64 > 1<<62:
		return refuse(f.Name, "has an impossible size")
	}
	e.Size = int64(f.UncompressedSize64)
	body, err := openZip(f, w.password)
	if errors.Is(err, ErrPassword) {
		return fmt.Errorf("entry %q: %w", clip(f.Name), err)
	}
	if err != nil {
		return refuse(f.Name, "cannot be read: %v", err)
	}
	defer body.Close()
	if mode&fs.ModeSymlink != 0 {
		t, err := io.ReadAll(io.LimitReader(body, int64(w.limits.Path)+1))
		if err != nil {
			return refuse(f.Name, "is damaged: %v", err)
		}
		e.Kind, e.Target, e.Size = Symlink, string(t), 0
		return w.entry(e, nil)
	}
	return w.entry(e, body)
}

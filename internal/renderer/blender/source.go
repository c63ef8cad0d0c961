package blender

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A scene is decompressed to at most plainFloor+plainRatio times its size on
// disk, so that a small file cannot cost hours; saved scenes stay far below.
const (
	plainFloor = 4 << 30
	plainRatio = 200
	maxWindow  = 128 << 20
)

// source gives the plain bytes of a scene in order. Skipping is cheap where
// the compression allows it.
type source interface {
	io.Reader
	io.Closer
	// Skip moves on by n bytes; io.ErrUnexpectedEOF when there are fewer.
	Skip(n int64) error
}

// openFunc opens the plain bytes anew from the beginning.
type openFunc func() (source, error)

var (
	magicGzip  = []byte{0x1f, 0x8b}
	magicZstd  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicBlend = []byte("BLENDER")
)

// foreign are kinds of files that are taken for scenes by mistake, so that the
// error can name them.
var foreign = []struct {
	magic string
	name  string
	hint  string
	kind  FaultKind
}{
	{"PK\x03\x04", "a ZIP archive", "unpack it and give the .blend inside", UnknownCompression},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it and give the .blend inside", UnknownCompression},
	{"Rar!", "a RAR archive", "unpack it and give the .blend inside", UnknownCompression},
	{"\xfd7zXZ\x00", "compressed with xz", "run unxz on it, or save it again in Blender", UnknownCompression},
	{"BZh", "compressed with bzip2", "run bunzip2 on it, or save it again in Blender", UnknownCompression},
	{"\x04\x22\x4d\x18", "compressed with LZ4", "decompress it, or save it again in Blender", UnknownCompression},
	{"\x89PNG", "a PNG picture", "give the scene file (.blend)", NotBlend},
	{"\xff\xd8\xff", "a JPEG picture", "give the scene file (.blend)", NotBlend},
	{"glTF", "a glTF model", "import it in Blender and save a .blend", NotBlend},
	{"Kaydara FBX", "an FBX model", "import it in Blender and save a .blend", NotBlend},
	{"PXR-USDC", "a USD stage", "import it in Blender and save a .blend", NotBlend},
	{"version https://git-lfs", "a Git LFS pointer, not the scene itself", "run git lfs pull", NotBlend},
}

// openSource finds out how a scene is compressed.
func openSource(r io.ReaderAt, size int64) (openFunc, error) {
	head := make([]byte, 32)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the beginning of the scene: %w", err)
	}
	head = head[:n]
	switch {
	case n == 0:
		return nil, fault(NotBlend, "the file is empty", "save the scene again in Blender")
	case bytes.HasPrefix(head, magicBlend):
		return func() (source, error) { return newPlain(r, size), nil }, nil
	case bytes.HasPrefix(head, magicGzip):
		return func() (source, error) { return newGzip(r, size) }, nil
	case bytes.HasPrefix(head, magicZstd):
		if table := readSeekTable(r, size); table != nil {
			return func() (source, error) { return newSeekable(r, table) }, nil
		}
		return func() (source, error) { return newZstd(r, size) }, nil
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return nil, fault(f.kind, "the file is "+f.name, f.hint)
		}
	}
	return nil, fault(NotBlend, "the file does not begin as a .blend does", "give a scene saved by Blender")
}

// plain reads an uncompressed scene, jumping over what is skipped.
type plain struct {
	r    io.ReaderAt
	size int64
	pos  int64 // where buf reads next in the file
	buf  *bufio.Reader
}

func newPlain(r io.ReaderAt, size int64) *plain {
	p := &plain{r: r, size: size}
	p.buf = bufio.NewReaderSize(p.section(), 64<<10)
	return p
}

func (p *plain) section() io.Reader { return io.NewSectionReader(p.r, p.pos, p.size-p.pos) }

func (p *plain) Read(b []byte) (int, error) {
	n, err := p.buf.Read(b)
	p.pos += int64(n)
	return n, err
}

func (p *plain) Skip(n int64) error {
	if n > p.size-p.pos {
		return io.ErrUnexpectedEOF
	}
	p.pos += n
	if n <= int64(p.buf.Buffered()) {
		_, err := p.buf.Discard(int(n))
		return err
	}
	p.buf.Reset(p.section())
	return nil
}

func (p *plain) Close() error { return nil }

// stream reads a compressed scene that can only be read in order.
type stream struct {
	buf   *bufio.Reader
	left  int64 // what may still be decompressed
	close func() error
}

func newStream(r io.Reader, size int64, closeFunc func() error) *stream {
	return &stream{buf: bufio.NewReaderSize(r, 64<<10), left: plainFloor + plainRatio*size, close: closeFunc}
}

func newGzip(r io.ReaderAt, size int64) (source, error) {
	z, err := gzip.NewReader(bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10))
	if err != nil {
		return nil, damaged("its gzip header is broken", err)
	}
	return newStream(z, size, z.Close), nil
}

func newZstd(r io.ReaderAt, size int64) (source, error) {
	z, err := newDecoder(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, damaged("its zstd header is broken", err)
	}
	return newStream(z, size, func() error { z.Close(); return nil }), nil
}

func newDecoder(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
}

var errBomb = errors.New("it decompresses to far more than any scene does")

func (s *stream) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, errBomb
	}
	n, err := s.buf.Read(b)
	s.left -= int64(n)
	return n, err
}

func (s *stream) Skip(n int64) error {
	if n > s.left {
		return io.ErrUnexpectedEOF
	}
	s.left -= n
	const step = 1 << 20
	for n > 0 {
		d, err := s.buf.Discard(int(min(n, step)))
		n -= int64(d)
		if err != nil {
			return eofIsUnexpected(err)
		}
	}
	return nil
}

func (s *stream) Close() error { return s.close() }

func eofIsUnexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

package archive

import (
	"archive/zip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

// fixedDate is the date of every entry, 2000-01-01: the same files always give
// the same zip.
const fixedDate = 20<<9 | 1<<5 | 1

// ZipWriter writes a zip as a stream. The same entries with the same password
// always give the same bytes. It is for one goroutine.
type ZipWriter struct {
	zw       *zip.Writer
	password string
	entries  uint64
	plain    bool // the entry being made is not compressed
}

// NewZipWriter writes to w. With a password each file is encrypted in the
// traditional way (ZipCrypto), which `zip -P` and every client know; it hides
// content from a passer-by, not from an attacker.
func NewZipWriter(w io.Writer, password string) *ZipWriter {
	z := &ZipWriter{zw: zip.NewWriter(w), password: password}
	z.zw.RegisterCompressor(zip.Deflate, z.compressor)
	return z
}

// compressor deflates, behind the encryption if there is any. Content that does
// not get smaller is still in deflate's form: readers that stream cannot find
// the end of a stored entry.
func (z *ZipWriter) compressor(w io.Writer) (io.WriteCloser, error) {
	if z.password != "" {
		// The entry's own header is written after this, so ours waits for the
		// first bytes of content.
		w = &cryptWriter{w: w, z: newZipCrypto([]byte(z.password)), head: z.header()}
	}
	level := flate.BestSpeed
	if z.plain {
		level = flate.NoCompression
	}
	return flate.NewWriter(w, level)
}

// header is the random header before an entry's content. Its last byte is the
// high byte of the entry's time of day (APPNOTE 6.1.6, entries with a data
// descriptor), which is 0.
func (z *ZipWriter) header() []byte {
	mac := hmac.New(sha256.New, []byte(z.password))
	mac.Write(binary.BigEndian.AppendUint64(nil, z.entries))
	h := mac.Sum(nil)[:headerLen]
	h[headerLen-1] = 0
	return h
}

// File adds a file; the caller writes its content before the next call. plain
// is for content that is packed already. An executable file has mode 0755.
func (z *ZipWriter) File(name string, plain, executable bool) (io.Writer, error) {
	z.entries++
	z.plain = plain
	//lint:ignore SA1019 Modified would add an extra field that the oldest clients' readers were never tried with
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, ModifiedDate: fixedDate}
	if z.password != "" {
		h.Flags |= 1
	}
	h.SetMode(0o644)
	if executable {
		h.SetMode(0o755)
	}
	w, err := z.zw.CreateHeader(h)
	if err != nil {
		return nil, fmt.Errorf("add %q to the zip: %w", name, err)
	}
	return w, nil
}

// Folder adds a folder. Clients that make none by themselves need each folder
// before what is in it.
func (z *ZipWriter) Folder(name string) error {
	//lint:ignore SA1019 as in File
	h := &zip.FileHeader{Name: name + "/", ModifiedDate: fixedDate}
	h.SetMode(0o755 | 1<<31) // fs.ModeDir
	if _, err := z.zw.CreateHeader(h); err != nil {
		return fmt.Errorf("add %q to the zip: %w", name, err)
	}
	return nil
}

// Close writes the directory of the zip. It does not close what it writes to.
func (z *ZipWriter) Close() error { return z.zw.Close() }

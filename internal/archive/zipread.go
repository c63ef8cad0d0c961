package archive

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
)

// openZip opens a file of a zip, decrypting it if need be.
func openZip(f *zip.File, password string) (io.ReadCloser, error) {
	if f.Flags&1 == 0 {
		return f.Open()
	}
	raw, err := f.OpenRaw()
	if err != nil {
		return nil, err
	}
	method, check := f.Method, true
	var plain io.Reader
	if f.Method == aesMethod {
		keyLen, m, version, err := aesInfo(f.Extra)
		if err != nil {
			return nil, err
		}
		// AE-2 leaves the checksum out: the authentication code stands for it.
		method, check = m, version == 1
		if plain, err = openAES(raw, int64(f.CompressedSize64), password, keyLen); err != nil {
			return nil, err
		}
	} else {
		// With a data descriptor the check byte is of the time, else of the CRC
		// (APPNOTE 6.1.6).
		want := byte(f.CRC32 >> 24)
		if f.Flags&8 != 0 {
			want = byte(f.ModifiedTime >> 8)
		}
		if plain, err = openZipCrypto(raw, password, want); err != nil {
			return nil, err
		}
	}
	return inflate(f, plain, method, check)
}

func inflate(f *zip.File, plain io.Reader, method uint16, check bool) (io.ReadCloser, error) {
	sum := &summed{r: plain, left: int64(f.UncompressedSize64), want: f.CRC32, check: check, source: plain}
	switch method {
	case zip.Store:
	case zip.Deflate:
		sum.r = flate.NewReader(plain)
	default:
		return nil, fmt.Errorf("its compression method %d is not known", method)
	}
	return sum, nil
}

// summed checks length and checksum of an entry at its end. A password that
// passed the one-byte check of ZipCrypto by chance shows here at the latest.
type summed struct {
	r      io.Reader
	source io.Reader
	left   int64
	crc    uint32
	want   uint32
	check  bool
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.crc = crc32.Update(s.crc, crc32.IEEETable, p[:n])
	s.left -= int64(n)
	if s.left < 0 {
		return 0, zip.ErrFormat
	}
	if err != io.EOF {
		return n, err
	}
	if s.left != 0 || s.check && s.crc != s.want {
		return n, zip.ErrChecksum
	}
	// The end of deflated content comes before that of the encrypted: read on,
	// so that the authentication code is checked.
	var rest [64]byte
	for {
		if _, err := s.source.Read(rest[:]); err == io.EOF {
			return n, io.EOF
		} else if err != nil {
			return n, err
		}
	}
}

func (s *summed) Close() error { return nil }

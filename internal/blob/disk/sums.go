package disk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"drover.farm/internal/blob"
)

// The MD5 of each blob of a shard is in one file beside the blobs, a list of
// records of a fixed length:
//
//	32 bytes SHA-256 | 16 MD5 | 8 size | 4 zero | 4 CRC-32C of the first 60
//
// The list is a convenience, not a truth: it is never synced, a record that is
// torn, lost or does not fit the file's size counts for nothing, and the MD5 is
// then computed from the blob once more.
const (
	sumsName   = "sums"
	sumLen     = 64
	sumCRC     = 60
	sumsSlack  = 256     // records too many before a list is written anew
	sumsBuffer = 1 << 16 // a multiple of sumLen
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeSum(info blob.Info) []byte {
	rec := make([]byte, 0, sumLen)
	rec = append(rec, info.SHA256[:]...)
	rec = append(rec, info.MD5[:]...)
	rec = binary.BigEndian.AppendUint64(rec, uint64(info.Size))
	rec = append(rec, 0, 0, 0, 0)
	return binary.BigEndian.AppendUint32(rec, crc32.Checksum(rec, castagnoli))
}

func decodeSum(rec []byte) (blob.Info, bool) {
	var info blob.Info
	if len(rec) != sumLen || crc32.Checksum(rec[:sumCRC], castagnoli) != binary.BigEndian.Uint32(rec[sumCRC:]) {
		return info, false
	}
	copy(info.SHA256[:], rec)
	copy(info.MD5[:], rec[32:])
	info.Size = int64(binary.BigEndian.Uint64(rec[48:]))
	return info, info.Size >= 0
}

// eachSum calls f for the good records of a list until f returns false.
func eachSum(r io.Reader, f func(blob.Info) bool) error {
	br := bufio.NewReaderSize(r, sumsBuffer)
	rec := make([]byte, sumLen)
	for {
		_, err := io.ReadFull(br, rec)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if info, ok := decodeSum(rec); ok && !f(info) {
			return nil
		}
	}
}

// findSum looks a blob's MD5 up in the list of its shard.
func findSum(dir string, h blob.Hash, size int64) (md5 [16]byte, found bool, err error) {
	f, err := os.Open(filepath.Join(dir, sumsName))
	if errors.Is(err, fs.ErrNotExist) {
		return md5, false, nil
	}
	if err != nil {
		return md5, false, err
	}
	defer f.Close()
	err = eachSum(f, func(info blob.Info) bool {
		if info.SHA256 == h && info.Size == size {
			md5, found = info.MD5, true
		}
		return !found
	})
	return md5, found, err
}

// appendSum adds a record; the caller holds the shard's lock. A torn record
// before it is cut off, so that the rest stays in step.
func appendSum(dir string, info blob.Info) error {
	f, err := os.OpenFile(filepath.Join(dir, sumsName), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.WriteAt(encodeSum(info), end-end%sumLen)
	}
	return errors.Join(err, f.Close())
}

// keepSum remembers the MD5 of a blob that the list lacks; the caller holds the
// shard's lock. A failure costs only another computation later.
func (s *Store) keepSum(sh *shard, info blob.Info) {
	s.md5.Add(info.SHA256, info.MD5)
	if err := appendSum(sh.dir, info); err != nil {
		s.log.Warn("cannot note the MD5 of a file", "blob", info.SHA256, "error", err)
	}
}

// compactSums writes the list anew when too much of it is of no use.
func compactSums(dir string, known map[blob.Hash]bool) error {
	path := filepath.Join(dir, sumsName)
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Size()/sumLen <= int64(2*len(known)+sumsSlack) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	var list []byte
	kept := make(map[blob.Hash]bool, len(known))
	err = eachSum(f, func(info blob.Info) bool {
		if known[info.SHA256] && !kept[info.SHA256] {
			kept[info.SHA256] = true
			list = append(list, encodeSum(info)...)
		}
		return true
	})
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := writeDurably(path, list, func(string) error { return nil }); err != nil {
		return fmt.Errorf("compact %s: %w", path, err)
	}
	return nil
}

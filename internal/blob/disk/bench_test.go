package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"drover.farm/internal/blob"
)

func noise(n int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// BenchmarkSHA256 is the limit that one core sets to every Put.
func BenchmarkSHA256(b *testing.B) {
	data := noise(64<<20, 1)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sha256.Sum256(data)
	}
}

// BenchmarkHasher is SHA-256 and MD5 side by side.
func BenchmarkHasher(b *testing.B) {
	data := noise(64<<20, 1)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		h := blob.NewHasher()
		for rest := data; len(rest) > 0; rest = rest[min(len(rest), pieceSize):] {
			_, _ = h.Write(rest[:min(len(rest), pieceSize)])
		}
	}
}

func BenchmarkPut64MiB(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data := noise(64<<20, 1)
	b.SetBytes(int64(len(data)))
	var i uint64
	for b.Loop() {
		i++
		binary.LittleEndian.PutUint64(data, i)
		info, err := s.Put(context.Background(), bytes.NewReader(data), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Delete(context.Background(), info.SHA256); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPutSmall stores files of 4 KiB, 64 at a time.
func BenchmarkPutSmall(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var n atomic.Uint64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		data := noise(4<<10, 2)
		for pb.Next() {
			binary.LittleEndian.PutUint64(data, n.Add(1))
			if _, err := s.Put(context.Background(), bytes.NewReader(data), nil); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

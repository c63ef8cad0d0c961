package s3

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
)

// Stat implements blob.Store. For an object that another program made, and that
// does not say its MD5, it reads the object.
func (s *Store) Stat(ctx context.Context, h blob.Hash) (blob.Info, error) {
	if ctx.Err() != nil {
		return blob.Info{}, context.Cause(ctx)
	}
	info, err := s.head(ctx, h)
	if err == nil && info.MD5 == [16]byte{} {
		var read blob.Info
		read, err = s.verify(ctx, h)
		info.MD5 = read.MD5
	}
	if err != nil {
		return blob.Info{}, cause(ctx, err)
	}
	return info, nil
}

// Open implements blob.Store. Reading one after the other takes one request and
// lets the network read ahead; reading at offsets takes one per block of 256
// KiB, of which each file keeps four.
func (s *Store) Open(ctx context.Context, h blob.Hash) (blob.File, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	info, err := s.head(ctx, h)
	if err != nil {
		return nil, cause(ctx, err)
	}
	return newFile(ctx, s, h, info.Size), nil
}

// Verify implements blob.Janitor.
func (s *Store) Verify(ctx context.Context, h blob.Hash) error {
	_, err := s.verify(ctx, h)
	return cause(ctx, err)
}

func (s *Store) verify(ctx context.Context, h blob.Hash) (blob.Info, error) {
	f, err := s.Open(ctx, h)
	if err != nil {
		return blob.Info{}, err
	}
	defer f.Close()
	hash := blob.NewHasher()
	buf := spoolBuffers.Get().(*[]byte)
	defer spoolBuffers.Put(buf)
	for {
		n, err := blob.Fill(ctx, f, *buf)
		_, _ = hash.Write((*buf)[:n]) // never fails
		if err == io.EOF {
			break
		}
		if err != nil {
			return blob.Info{}, fmt.Errorf("verify file %s: %w", h, err)
		}
	}
	info := hash.Info()
	if info.SHA256 != h {
		return blob.Info{}, fmt.Errorf("file %s: %w: its %d bytes have SHA-256 %s", h, blob.ErrCorrupt, info.Size, info.SHA256)
	}
	return info, nil
}

// Walk implements blob.Store.
func (s *Store) Walk(ctx context.Context, f func(blob.Info) error) error {
	for o := range s.list(ctx, s.keys.blobs()) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if o.Err != nil {
			return fmt.Errorf("list files: %w", cause(ctx, asBlob(o.Err)))
		}
		h, ok := s.keys.parseBlob(o.Key)
		if !ok {
			continue
		}
		info := blob.Info{SHA256: h, Size: o.Size, Stored: o.LastModified.Truncate(time.Second)}
		if err := f(info); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// list gives the objects below a prefix in the order of their keys.
func (s *Store) list(ctx context.Context, prefix string) func(func(minio.ObjectInfo) bool) {
	return s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true})
}

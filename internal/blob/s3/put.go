package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/minio/minio-go/v7"

	"drover.farm/internal/blob"
)

const (
	// maxBlob is the largest object of S3.
	maxBlob = 5 << 40
	// maxCopy is the largest object that S3 copies in one request.
	maxCopy = 5 << 30
	// multipartFrom is from which size an object is sent in parts.
	multipartFrom = 16 << 20
	// placeTries is how often a Put whose blob is deleted by others before it
	// could say that it is there begins anew.
	placeTries = 5

	metaMD5 = "Md5"
)

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader, want *blob.Hash) (blob.Info, error) {
	ctx, end, err := s.begin(ctx)
	if err != nil {
		return blob.Info{}, err
	}
	defer end()
	info, err := s.put(ctx, r, want)
	if err != nil {
		return blob.Info{}, fmt.Errorf("store a file: %w", cause(ctx, err))
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, r io.Reader, want *blob.Hash) (blob.Info, error) {
	if n, ok := blob.SizeOf(r); ok && (n < 0 || n > maxBlob) {
		return blob.Info{}, fmt.Errorf("%w: a file of %d bytes", blob.ErrInvalid, n)
	}
	hash := blob.NewHasher()
	sp, err := fillSpool(ctx, s.opt.SpoolDir, r, math.MaxInt64, hash)
	defer sp.close()
	if err != io.EOF {
		return blob.Info{}, err
	}
	info := hash.Info()
	if want != nil && !want.IsZero() && info.SHA256 != *want {
		return blob.Info{}, fmt.Errorf("%w: it is %s, not %s", blob.ErrMismatch, info.SHA256, *want)
	}
	if info.Size > maxBlob {
		return blob.Info{}, fmt.Errorf("%w: S3 takes %d bytes, not %d", blob.ErrTooLarge, int64(maxBlob), info.Size)
	}
	return s.place(ctx, sp, info)
}

// place brings the content to its key and makes sure that no server that is
// pruning takes it away again.
func (s *Store) place(ctx context.Context, sp *spool, info blob.Info) (blob.Info, error) {
	for range placeTries {
		if err := s.upload(ctx, sp, info); err != nil {
			return blob.Info{}, asBlob(err)
		}
		if err := s.waitForPrunes(ctx, info.SHA256); err != nil {
			return blob.Info{}, err
		}
		got, err := s.head(ctx, info.SHA256)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return blob.Info{}, err
		}
		if got.Size != info.Size {
			if err := s.removeObject(ctx, s.keys.blob(info.SHA256)); err != nil {
				return blob.Info{}, err
			}
			return blob.Info{}, fmt.Errorf("%w: S3 keeps %d of %d bytes", blob.ErrCorrupt, got.Size, info.Size)
		}
		info.Stored = got.Stored
		return info, nil
	}
	return blob.Info{}, fmt.Errorf("file %s is deleted by others again and again: %w", info.SHA256, blob.ErrBusy)
}

// upload renews an object that is whole, and sends any other.
func (s *Store) upload(ctx context.Context, sp *spool, info blob.Info) error {
	got, err := s.head(ctx, info.SHA256)
	if err == nil && got.Size == info.Size {
		if s.renew(ctx, info) == nil {
			return nil
		}
		// It went meanwhile, or the store does not copy an object to itself.
	} else if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return s.send(ctx, s.keys.blob(info.SHA256), sp, minio.PutObjectOptions{
		UserMetadata: map[string]string{metaMD5: hex.EncodeToString(info.MD5[:])},
	})
}

// send writes an object, of more than 16 MiB part by part, with one part in
// memory. The server holds each request to the MD5 in its signed header; signing
// the content in chunks as well would hash it once more, and not every server
// understands that in parts.
func (s *Store) send(ctx context.Context, key string, sp *spool, opt minio.PutObjectOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends what is still on its way after an error
	opt.ContentType = "application/octet-stream"
	opt.PartSize = multipartFrom
	opt.SendContentMd5, opt.DisableContentSha256 = true, true
	_, err := s.core.Client.PutObject(ctx, s.bucket, key, sp.reader(), sp.size, opt)
	if err != nil {
		sp.taint()
	}
	return err
}

// renew sets the time of a blob by copying the object to itself.
func (s *Store) renew(ctx context.Context, info blob.Info) error {
	key := s.keys.blob(info.SHA256)
	dst := minio.CopyDestOptions{
		Bucket: s.bucket, Object: key, ReplaceMetadata: true,
		UserMetadata: map[string]string{
			metaMD5:        hex.EncodeToString(info.MD5[:]),
			"Content-Type": "application/octet-stream",
		},
	}
	src := minio.CopySrcOptions{Bucket: s.bucket, Object: key}
	var err error
	if info.Size <= maxCopy {
		_, err = s.core.Client.CopyObject(ctx, dst, src)
	} else {
		_, err = s.core.ComposeObject(ctx, dst, src)
	}
	return asBlob(err)
}

// head asks for a blob. Its MD5 is zero if the object does not say it.
func (s *Store) head(ctx context.Context, h blob.Hash) (blob.Info, error) {
	o, err := s.core.StatObject(ctx, s.bucket, s.keys.blob(h), minio.StatObjectOptions{})
	if err != nil {
		err = asBlob(err)
		if errors.Is(err, blob.ErrNotFound) {
			return blob.Info{}, fmt.Errorf("file %s: %w", h, blob.ErrNotFound)
		}
		return blob.Info{}, fmt.Errorf("ask for file %s: %w", h, err)
	}
	info := blob.Info{SHA256: h, Size: o.Size, Stored: o.LastModified.Truncate(time.Second)}
	if sum, err := hex.DecodeString(o.UserMetadata[metaMD5]); err == nil && len(sum) == len(info.MD5) {
		info.MD5 = [16]byte(sum)
	}
	return info, nil
}

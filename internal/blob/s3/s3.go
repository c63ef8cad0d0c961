// Package s3 keeps blobs in a bucket of an S3 store, for any number of servers
// at once.
//
// What is put is written to a spool file of this machine first and hashed on
// the way; only then does it go to its key, in one request or as a multipart
// upload that appears whole. So no reader of the bucket ever sees content under
// a hash that is not its own. Keys are described in docs/design/files.md.
package s3

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"drover.farm/internal/blob"
)

const (
	spoolPrefix       = "drover-spool-"
	defaultMaxUploads = 10_000
	defaultPartSize   = 16 << 20
	// defaultPruneTime bounds a Prune, from its mark to its end. A mark that
	// is seen for three times as long is of a server that died.
	defaultPruneTime = 20 * time.Second
	// settleTime bounds the writing of what came before a client went away.
	settleTime = 2 * time.Minute
)

// Options are the settings of a store; the zero value is good.
type Options struct {
	// SpoolDir is the folder for content on its way into the bucket; it needs
	// room for all Puts under way. Empty means the system's for temporary
	// files.
	SpoolDir string
	// MaxUploads is how many unfinished uploads may be open; 0 means 10,000.
	// Servers that open uploads at the same moment may exceed it by one each.
	MaxUploads int
	// PartSize is how many bytes of an append are made durable at a time; 0
	// means 16 MiB. Uploads of more than 80 GB have larger parts.
	PartSize int64
	// AccessKey and SecretKey replace AWS_ACCESS_KEY_ID and
	// AWS_SECRET_ACCESS_KEY.
	AccessKey string
	SecretKey Secret
	// Transport replaces the transport of HTTP.
	Transport http.RoundTripper
	// Retries is how often a failing request is made in all; 0 means 10.
	Retries int
	// Log gets what the store cleans up and what it cannot; nil is silence.
	Log *slog.Logger

	pruneTime time.Duration
}

// Secret is a key that no log and no message shows.
type Secret string

// String hides the secret.
func (Secret) String() string { return "(hidden)" }

// GoString hides the secret.
func (Secret) GoString() string { return "(hidden)" }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("(hidden)") }

// Store is a bucket of blobs, or the part of one below a prefix. It implements
// blob.Store and blob.Janitor; its uploads are at Uploads. All methods may be
// called from many goroutines.
type Store struct {
	core    minio.Core
	bucket  string
	keys    keys
	opt     Options
	log     *slog.Logger
	closers func()
	uploads *Uploads

	mu     sync.Mutex
	closed bool
	done   context.Context
	cancel context.CancelFunc
	ops    sync.WaitGroup
}

var (
	_ blob.Store   = (*Store)(nil)
	_ blob.Janitor = (*Store)(nil)
)

// Open connects to the bucket that address names, in the form
// s3://BUCKET/PREFIX?endpoint=http://HOST:PORT&path_style=true&region=NAME,
// and checks that it is there. Without an endpoint it is Amazon's. The
// credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if set,
// AWS_SESSION_TOKEN.
func Open(ctx context.Context, address string, opt Options) (*Store, error) {
	a, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	s, err := connect(a, opt)
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx, a); err != nil {
		s.closers()
		return nil, err
	}
	return s, nil
}

func connect(a address, opt Options) (*Store, error) {
	creds, err := opt.credentials()
	if err != nil {
		return nil, err
	}
	transport, closers := opt.Transport, func() {}
	if transport == nil {
		t, err := minio.DefaultTransport(a.secure)
		if err != nil {
			return nil, fmt.Errorf("prepare the connection to S3: %w", err)
		}
		t.ReadBufferSize = 64 << 10
		transport, closers = t, t.CloseIdleConnections
	}
	lookup := minio.BucketLookupAuto
	if a.pathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(a.host, &minio.Options{
		Creds: creds, Secure: a.secure, Region: a.region, BucketLookup: lookup,
		Transport: transport, MaxRetries: opt.Retries,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to S3: %w", err)
	}
	s := &Store{
		core: minio.Core{Client: client}, bucket: a.bucket, keys: keys{prefix: a.prefix},
		opt: opt.withDefaults(), closers: closers,
	}
	s.log = s.opt.Log
	s.done, s.cancel = context.WithCancel(context.Background())
	s.uploads = &Uploads{s: s, busy: make(map[string]bool)}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.MaxUploads <= 0 {
		o.MaxUploads = defaultMaxUploads
	}
	if o.PartSize <= 0 {
		o.PartSize = defaultPartSize
	}
	if o.pruneTime <= 0 {
		o.pruneTime = defaultPruneTime
	}
	if o.SpoolDir == "" {
		o.SpoolDir = os.TempDir()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) credentials() (*credentials.Credentials, error) {
	access, secret, token := o.AccessKey, string(o.SecretKey), ""
	if access == "" && secret == "" {
		access, secret = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		token = os.Getenv("AWS_SESSION_TOKEN")
	}
	if access == "" || secret == "" {
		return nil, errors.New("no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	}
	return credentials.NewStaticV4(access, secret, token), nil
}

// check tries the bucket and the spool folder, so that a mistake shows at the
// start and not with the first frame.
func (s *Store) check(ctx context.Context, a address) error {
	ok, err := s.core.BucketExists(ctx, s.bucket)
	if err != nil {
		return fmt.Errorf("reach the bucket %q at %s: %w", s.bucket, a.host, asBlob(err))
	}
	if !ok {
		return fmt.Errorf("the bucket %q at %s does not exist: create it first", s.bucket, a.host)
	}
	if err := os.MkdirAll(s.opt.SpoolDir, 0o700); err != nil {
		return fmt.Errorf("make the spool folder: %w", err)
	}
	s.sweepSpool()
	f, err := openSpool(s.opt.SpoolDir)
	if err != nil {
		return fmt.Errorf("write to the spool folder: %w", err)
	}
	f.close()
	return nil
}

// sweepSpool removes spool files whose names outlived their process. Where a
// spool file has a name while in use, as on Windows, the system refuses to
// remove it.
func (s *Store) sweepSpool() {
	names, _ := filepath.Glob(filepath.Join(s.opt.SpoolDir, spoolPrefix+"*")) // fails on a bad pattern only
	for _, name := range names {
		_ = os.Remove(name)
	}
}

// Uploads are the uploads of this store.
func (s *Store) Uploads() *Uploads { return s.uploads }

// Close ends what is under way, waits for it, and closes the connections. Open
// files fail afterwards. Close may be called again.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.ops.Wait()
	s.closers()
	return nil
}

// begin announces a change to Close and gives a context that ends with ctx and
// with the store. The caller calls end.
func (s *Store) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, blob.ErrClosed
	}
	s.ops.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.done, func() { cancel(blob.ErrClosed) })
	return ctx, func() { stop(); cancel(nil); s.ops.Done() }, nil
}

// cause makes an error that only says that ctx ended say why it did.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// asBlob maps the errors of S3 to those of package blob.
func asBlob(err error) error {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return blob.AsFull(err)
	}
	switch {
	case r.Code == "NoSuchKey", r.Code == "NotFound", r.Code == "NoSuchUpload":
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	case r.StatusCode == http.StatusInsufficientStorage, strings.Contains(r.Code, "QuotaExceeded"),
		r.Code == "XMinioStorageFull", r.Code == "InsufficientStorage":
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	case r.Code == "EntityTooLarge":
		return fmt.Errorf("%w: %w", blob.ErrTooLarge, err)
	}
	return err
}

// existsAlready tells whether a write that must not replace was refused.
func existsAlready(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && (r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusConflict)
}

package farm

import (
	"context"
	"sync"
)

// lookUps is how many contents are asked after at once. Each answer renews the
// content's time durably, and a disk makes many such writes in the time of one.
const lookUps = 16

// sizes looks up how large the contents of files are, each content once. What is
// not in the store is not in the answer.
func (f *Farm) sizes(ctx context.Context, files []File) (map[string]int64, error) {
	switch len(files) {
	case 0:
		return nil, nil
	case 1: // a frame, as most are
		size, err := f.blobs.Size(ctx, files[0].SHA256)
		if isNotFound(err) {
			return nil, nil
		}
		return map[string]int64{files[0].SHA256: size}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make(map[string]int64, len(files))
	for i := range files {
		out[files[i].SHA256] = -1
	}
	todo := make(chan string, len(out))
	for hash := range out {
		todo <- hash
	}
	close(todo)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(lookUps, len(out)) {
		wg.Go(func() {
			for hash := range todo {
				size, err := f.blobs.Size(ctx, hash)
				mu.Lock()
				switch {
				case isNotFound(err):
					delete(out, hash)
				case err != nil:
					cancel(err)
				default:
					out[hash] = size
				}
				mu.Unlock()
				if ctx.Err() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return out, context.Cause(ctx)
}

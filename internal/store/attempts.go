package store

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"drover.farm/internal/appendjson"
	"drover.farm/internal/farm"
)

// Attempts is a task's attempts as a column: what List makes of them, written
// out by hand, because two rows of them are written in each cycle of a worker.
func Attempts(as []farm.Attempt) (string, error) {
	if len(as) == 0 {
		return "", nil
	}
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	b := (*scratch)[:0]
	for i := range as {
		b = append(b, "[,"[min(i, 1)])
		var err error
		if b, err = appendAttempt(b, &as[i]); err != nil {
			return "", err
		}
	}
	b = append(b, ']')
	if cap(b) <= maxScratch {
		*scratch = b
	}
	return string(b), nil
}

// scratches are buffers that columns are made in, up to a size.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 64 << 10

func appendAttempt(b []byte, a *farm.Attempt) ([]byte, error) {
	b = append(b, `{"lease":`...)
	b = strconv.AppendInt(b, a.Lease, 10)
	b = append(b, `,"worker":`...)
	b = strconv.AppendInt(b, a.Worker, 10)
	b = appendText(b, `,"name":`, a.Name, true)
	b = appendText(b, `,"door":`, a.Door, false)
	b = appendTime(b, `,"started":`, a.Started)
	if !a.Ended.IsZero() {
		b = appendTime(b, `,"ended":`, a.Ended)
	}
	b = appendText(b, `,"outcome":`, string(a.Outcome), false)
	b = appendText(b, `,"cause":`, string(a.Cause), false)
	b = appendText(b, `,"error":`, a.Error, false)
	b = appendInt(b, `,"exit":`, int64(a.Exit))
	b = appendText(b, `,"log":`, a.Log, false)
	b = appendInt(b, `,"memory":`, a.Memory)
	if a.Seconds != 0 {
		var err error
		if b, err = appendjson.Float(append(b, `,"seconds":`...), a.Seconds); err != nil {
			return nil, err
		}
	}
	b = appendText(b, `,"build":`, a.Build, false)
	if len(a.Outputs) > 0 {
		text, err := json.Marshal(a.Outputs)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"outputs":`...), text...)
	}
	return append(b, '}'), nil
}

func appendInt(b []byte, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, key...), n, 10)
}

func appendTime(b []byte, key string, t time.Time) []byte {
	return appendjson.Time(append(b, key...), t)
}

func appendText(b []byte, key, s string, always bool) []byte {
	if s == "" && !always {
		return b
	}
	return appendjson.String(append(b, key...), s)
}

package store

import (
	"encoding/json"
	"strconv"
	"time"

	"drover.farm/internal/farm"
)

// Attempts is a task's attempts as a column: what List makes of them, written
// out by hand, because two rows of them are written in each cycle of a worker.
func Attempts(as []farm.Attempt) (string, error) {
	if len(as) == 0 {
		return "", nil
	}
	b := make([]byte, 0, 192*len(as))
	for i := range as {
		b = append(b, "[,"[min(i, 1)])
		var err error
		if b, err = appendAttempt(b, &as[i]); err != nil {
			return "", err
		}
	}
	return string(append(b, ']')), nil
}

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
		text, err := json.Marshal(a.Seconds)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"seconds":`...), text...)
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
	b = append(append(b, key...), '"')
	return append(t.AppendFormat(b, time.RFC3339Nano), '"')
}

// appendText writes a string, which only encoding/json escapes when there is
// something to escape.
func appendText(b []byte, key, s string, always bool) []byte {
	if s == "" && !always {
		return b
	}
	b = append(b, key...)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string always encodes
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

package api

import (
	"encoding/json"
	"strconv"

	"drover.farm/internal/appendjson"
)

// AppendJSON appends what encoding/json makes of the verdict: it is the answer
// to every frame, so it is written out by hand.
func (v *Verdict) AppendJSON(b []byte) ([]byte, error) {
	b = strconv.AppendBool(append(b, `{"accepted":`...), v.Accepted)
	if v.Reason != "" {
		b = appendjson.String(append(b, `,"reason":`...), v.Reason)
	}
	if v.Next != nil {
		var err error
		if b, err = v.Next.AppendJSON(append(b, `,"next":`...)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

// AppendJSON appends what encoding/json makes of the lease.
func (l *Lease) AppendJSON(b []byte) ([]byte, error) {
	b = strconv.AppendInt(append(b, `{"id":`...), l.ID, 10)
	b = strconv.AppendInt(append(b, `,"job":`...), l.Job, 10)
	b = strconv.AppendInt(append(b, `,"step":`...), int64(l.Step), 10)
	b = appendjson.String(append(b, `,"step_name":`...), l.StepName)
	b = strconv.AppendInt(append(b, `,"index":`...), l.Index, 10)
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(l.Attempt), 10)
	b = appendParameters(append(b, `,"parameters":`...), l.Parameters)
	if len(l.Chunks) > 0 {
		text, err := json.Marshal(l.Chunks)
		if err != nil {
			return b, err
		}
		b = append(append(b, `,"chunks":`...), text...)
	}
	b = appendjson.Time(append(b, `,"deadline":`...), l.Deadline)
	b, err := appendjson.Float(append(b, `,"period":`...), l.Period)
	if l.Build != "" {
		b = appendjson.String(append(b, `,"build":`...), l.Build)
	}
	return append(b, '}'), err
}

func appendParameters(b []byte, ps []TaskParameter) []byte {
	if ps == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i := range ps {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendjson.String(append(b, `{"name":`...), ps[i].Name)
		b = appendjson.String(append(b, `,"type":`...), ps[i].Type)
		b = append(appendjson.String(append(b, `,"value":`...), ps[i].Value), '}')
	}
	return append(b, ']')
}

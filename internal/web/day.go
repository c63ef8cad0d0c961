package web

import "context"

// day is the farm's throughput of the last 24 hours.
type day struct{}

func (s *site) day(context.Context) (day, error) { return day{}, nil }

package farm

// Walked is how many workers the dispatcher's operations have gone through, and
// how many the one that went through most, since the last call.
func (f *Farm) Walked() (all, longest int64) {
	return f.meter.walked.Swap(0), f.meter.longest.Swap(0)
}

package secret

// Hold takes the only slot of a Hasher, as a password that is being hashed does.
func Hold(h *Hasher) (release func()) {
	h.slots <- struct{}{}
	return h.leave
}

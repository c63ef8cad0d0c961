package rayd

// Become does nothing here: the server goes on in this process.
func Become(program string, role Role, home, handoff string) error { return nil }

// Daemon refuses: there is no daemon mode here.
func Daemon(program string, role Role, home, handoff string) (pid int, release func() error, err error) {
	return 0, nil, notHere
}

// AwaitRelease returns at once.
func AwaitRelease() error { return nil }

package rayd

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// Identity is who the server runs as. A nil part stays as it is.
type Identity struct {
	User  *user.User
	Group *user.Group
}

// LookUp finds the user and the group that the options name, by name or number,
// in this system's lists. Errors are the manual's texts.
func LookUp(o Options) (Identity, error) {
	var id Identity
	var err error
	if o.User != "" {
		number, byNumber := asID(o.User)
		if byNumber {
			id.User, err = user.LookupId(number)
		} else {
			id.User, err = user.Lookup(o.User)
		}
		if err != nil {
			return id, notFound(err, byNumber, "User", o.User)
		}
	}
	if o.Group != "" {
		number, byNumber := asID(o.Group)
		if byNumber {
			id.Group, err = user.LookupGroupId(number)
		} else {
			id.Group, err = user.LookupGroup(o.Group)
		}
		if err != nil {
			return id, notFound(err, byNumber, "group", o.Group)
		}
	}
	return id, nil
}

// asID reports whether a text is a number, and gives it without leading zeros.
func asID(text string) (string, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return strconv.FormatUint(n, 10), err == nil
}

func notFound(err error, byNumber bool, what, text string) error {
	var (
		u  user.UnknownUserError
		ui user.UnknownUserIdError
		g  user.UnknownGroupError
		gi user.UnknownGroupIdError
	)
	if !errors.As(err, &u) && !errors.As(err, &ui) && !errors.As(err, &g) && !errors.As(err, &gi) {
		return fmt.Errorf("look up the %s %q: %w", what, text, err)
	}
	kind := "name"
	if byNumber {
		kind = "ID"
	}
	return UsageError(fmt.Sprintf("%s %s %q not found.", what, kind, text))
}

func cannotBeUser(u *user.User) error {
	return UsageError(fmt.Sprintf("Unable to run as user %q (%s).", u.Username, u.Uid))
}

func cannotBeGroup(g *user.Group) error {
	return UsageError(fmt.Sprintf("Unable to run as group %q (%s).", g.Name, g.Gid))
}

// Lines are what the server says of its identity at its start.
func (id Identity) Lines() []string {
	var lines []string
	if id.User != nil {
		lines = append(lines, fmt.Sprintf("Rayserver running as user %q (%s).", id.User.Username, id.User.Uid))
	}
	if id.Group != nil {
		lines = append(lines, fmt.Sprintf("Rayserver running as group %q (%s).", id.Group.Name, id.Group.Gid))
	}
	return lines
}

//go:build unix

package rayd

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Assume makes the process run as id, for good: neither it nor what it starts can
// go back. A user brings along the groups it is a member of, and its own first
// group unless another is named. Errors are the manual's texts.
func (id Identity) Assume() error {
	uid, gid := os.Geteuid(), os.Getegid()
	was, groups := uid, []int(nil)
	if id.User != nil {
		uid, _ = strconv.Atoi(id.User.Uid)
		gid, _ = strconv.Atoi(id.User.Gid)
		if was != 0 && uid != was {
			return cannotBeUser(id.User)
		}
		if was == 0 {
			ids, err := id.User.GroupIds()
			if err != nil {
				return fmt.Errorf("look up the groups of the user %q: %w", id.User.Username, err)
			}
			for _, text := range ids {
				if n, err := strconv.Atoi(text); err == nil {
					groups = append(groups, n)
				}
			}
		} else {
			gid = os.Getegid()
		}
	}
	if id.Group != nil {
		gid, _ = strconv.Atoi(id.Group.Gid)
	}
	return id.change(uid, gid, was == 0 && id.User != nil, groups)
}

// change gives up groups first: after the user is changed it could not.
func (id Identity) change(uid, gid int, withGroups bool, groups []int) error {
	if withGroups {
		if err := syscall.Setgroups(groups); err != nil {
			return cannotBeUser(id.User)
		}
	}
	if gid != os.Getegid() || gid != os.Getgid() {
		if err := syscall.Setgid(gid); err != nil {
			if id.Group != nil {
				return cannotBeGroup(id.Group)
			}
			return cannotBeUser(id.User)
		}
	}
	if id.User == nil {
		return nil
	}
	if err := syscall.Setuid(uid); err != nil {
		return cannotBeUser(id.User)
	}
	if uid != 0 && syscall.Setuid(0) == nil {
		return errors.New("the system lets the process go back to root; it does not go on")
	}
	return nil
}

func setUmask(mask int) { syscall.Umask(mask) }

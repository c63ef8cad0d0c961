package rayserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"drover.farm/internal/secret"
)

// Bounds of keys and of the file that holds them.
const (
	minKey      = 16
	maxKeyLine  = 1024
	maxKeyLines = 10_000
)

// Key is a name and the secret that it shares with a server.
type Key struct {
	Name   string
	Secret secret.Text
}

// Keys are the keys of a server by name.
type Keys map[string]secret.Text

// ReadKeys reads a file with lines of NAME KEY; empty lines and those that begin
// with # say nothing. A file that does not exist holds no key. One that others
// than its owner may read is refused.
func ReadKeys(path string) (Keys, error) {
	list, err := readKeys(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Keys{}, nil
	} else if err != nil {
		return nil, err
	}
	keys := Keys{}
	for _, k := range list {
		if _, twice := keys[k.Name]; twice {
			return nil, fmt.Errorf("the keys in %s: there are two for %q", path, k.Name)
		}
		keys[k.Name] = k.Secret
	}
	return keys, nil
}

// ReadKey reads the first key of a client's key file.
func ReadKey(path string) (Key, error) {
	list, err := readKeys(path)
	switch {
	case err != nil:
		return Key{}, err
	case len(list) == 0:
		return Key{}, fmt.Errorf("there is no key in %s: it has a line of NAME KEY", path)
	}
	return list[0], nil
}

func readKeys(path string) ([]Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	defer f.Close()
	if err := private(f); err != nil {
		return nil, fmt.Errorf("the keys in %s: %w", path, err)
	}
	var keys []Key
	lines := bufio.NewScanner(io.LimitReader(f, maxKeyLine*maxKeyLines))
	lines.Buffer(nil, maxKeyLine)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch {
		case len(words) != 2:
			return nil, fmt.Errorf("the keys in %s: line %d is not NAME KEY", path, n)
		case len(words[1]) < minKey:
			return nil, fmt.Errorf("the keys in %s: the key in line %d is shorter than %d characters; \"openssl rand -hex 32\" makes a good one", path, n, minKey)
		}
		keys = append(keys, Key{words[0], secret.Text(words[1])})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("the keys in %s: %w", path, err)
	}
	return keys, nil
}

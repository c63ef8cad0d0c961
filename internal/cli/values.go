package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"drover.farm/openjd"
)

// Bounds of the documents that a command reads.
const (
	maxDocument = 16 << 20
	maxValue    = 1 << 20
)

// parameters reads -p flags: Name=Value, Name=@FILE for a value that a file
// holds (Name=@@… for one that begins with @), @FILE or file://FILE for a
// document of values, or such a document itself, beginning with {.
func parameters(args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, arg := range args {
		values, err := parameter(arg)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, values)
	}
	return out, nil
}

func parameter(arg string) (map[string]string, error) {
	file, isURL := strings.CutPrefix(arg, "file://")
	if !isURL {
		file, isURL = strings.CutPrefix(arg, "@")
	}
	switch {
	case isURL:
		data, err := readDocument(file)
		if err != nil {
			return nil, fmt.Errorf("read parameter values: %w", err)
		}
		return document(data, file)
	case strings.HasPrefix(strings.TrimSpace(arg), "{"):
		return document([]byte(arg), "-p")
	}
	name, value, ok := strings.Cut(arg, "=")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return nil, usagef("-p %q is no parameter: write Name=Value, Name=@FILE, @FILE, or a JSON object", arg)
	}
	switch {
	case strings.HasPrefix(value, "@@"):
		value = value[1:]
	case strings.HasPrefix(value, "@"):
		data, err := readFile(value[1:], maxValue)
		if err != nil {
			return nil, fmt.Errorf("read the value of parameter %s: %w", name, err)
		}
		value = strings.TrimSuffix(string(data), "\n") // an editor's, not the value's
	}
	return map[string]string{name: value}, nil
}

func document(data []byte, from string) (map[string]string, error) {
	values, err := openjd.ParameterValues(data)
	if err != nil {
		return nil, fmt.Errorf("%s holds no parameter values: %w", from, err)
	}
	return values, nil
}

// readDocument reads a document of a size that people write; "-" is refused as
// any other name that is no file.
func readDocument(path string) ([]byte, error) { return readFile(path, maxDocument) }

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if i, err := f.Stat(); err == nil && i.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s is larger than %s", path, size(most))
	}
	return data, nil
}

// firstLine reads a secret that a file or standard input holds.
func firstLine(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimRight(line, "\r"); line == "" {
		return "", errors.New("it is empty")
	}
	return line, nil
}

package session

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"drover.farm/openjd"
)

// fileSet is the embedded files of one script with their places on disk, which
// stay the same for the session, so that a server which an environment started
// from such a file keeps it.
type fileSet struct {
	dir   string
	files []openjd.EmbeddedFile
	paths []string
}

// placeFiles chooses the paths of a script's embedded files in a private
// directory of their own beneath work.
func placeFiles(work string, files []openjd.EmbeddedFile) (*fileSet, error) {
	if len(files) == 0 {
		return &fileSet{}, nil
	}
	dir, err := os.MkdirTemp(work, "embedded_files-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for embedded files: %w", err)
	}
	s := &fileSet{dir: dir, files: files}
	for i, f := range files {
		name := f.Filename
		if name == "" {
			name = fmt.Sprintf("file-%d", i)
		}
		if !plainName(name) {
			return nil, fmt.Errorf("embedded file %s: the filename %q is not a plain name", f.Name, name)
		}
		s.paths = append(s.paths, filepath.Join(dir, name))
	}
	return s, nil
}

// plainName reports whether a name cannot lead out of its directory.
func plainName(name string) bool {
	return name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") &&
		filepath.Base(name) == name && filepath.IsLocal(name)
}

// addTo adds the symbols of the files' paths.
func (s *fileSet) addTo(symbols openjd.Symbols, prefix string) {
	for i, f := range s.files {
		symbols[prefix+f.Name] = s.paths[i]
	}
}

// write writes every file anew. Each is replaced as a whole, so that a process
// which reads an earlier copy is not disturbed.
func (s *fileSet) write(symbols openjd.Symbols) error {
	if len(s.files) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make a directory for embedded files: %w", err)
	}
	for i, f := range s.files {
		data, err := f.Data.Resolve(symbols)
		if err != nil {
			return fmt.Errorf("embedded file %s: %w", f.Name, err)
		}
		mode := os.FileMode(0o600)
		if f.Runnable {
			mode = 0o700
		}
		if err := replaceFile(s.paths[i], []byte(endLines(data, f.EndOfLine)), mode); err != nil {
			return fmt.Errorf("write embedded file %s: %w", f.Name, err)
		}
	}
	return nil
}

// endLines gives text the line ends that are asked for.
func endLines(text string, eol openjd.EndOfLine) string {
	if eol == openjd.EndOfLineAuto {
		eol = openjd.EndOfLineLF
		if runtime.GOOS == "windows" {
			eol = openjd.EndOfLineCRLF
		}
	}
	if eol == openjd.EndOfLineAsIs {
		return text
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if eol == openjd.EndOfLineCRLF {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

// replaceFile writes a file with the mode given, all or nothing.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// rulesDocument is the path mapping file (How-Jobs-Are-Run, Path Mapping).
type rulesDocument struct {
	Version string         `json:"version"`
	Rules   []rulesElement `json:"path_mapping_rules"`
}

type rulesElement struct {
	Format      openjd.PathFormat `json:"source_path_format"`
	Source      string            `json:"source_path"`
	Destination string            `json:"destination_path"`
}

// writeRules writes the path mapping file.
func writeRules(path string, rules []openjd.PathRule) error {
	doc := rulesDocument{Version: "pathmapping-1.0", Rules: []rulesElement{}}
	for _, r := range rules {
		doc.Rules = append(doc.Rules, rulesElement{r.SourceFormat, r.Source, r.Destination})
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("encode path mapping rules: %w", err)
	}
	if err := replaceFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write path mapping rules: %w", err)
	}
	return nil
}

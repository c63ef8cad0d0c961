package library

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// load reads what an earlier process knew. A file that cannot be read is as good
// as none: everything is looked at again. The lock is held.
func (m *Importer) load() error {
	m.files = make(map[string]*File)
	text, err := os.ReadFile(m.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read what became of imported files: %w", err)
	}
	var list []*File
	if err := json.Unmarshal(text, &list); err != nil {
		m.Log.Warn("the list of imported files is damaged; all are looked at again", "file", m.State, "err", err)
		return nil
	}
	for _, f := range list {
		if f != nil {
			m.files[f.Name] = f
		}
	}
	return nil
}

// save writes what is known, by one rename. The lock is held.
func (m *Importer) save() error {
	list := make([]*File, 0, len(m.files))
	for _, f := range m.files {
		list = append(list, f)
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(m.State), ".imports-")
	if err != nil {
		return fmt.Errorf("keep what became of imported files: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), m.State)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keep what became of imported files: %w", err)
	}
	return nil
}

// keep saves, or says that it cannot.
func (m *Importer) keep() {
	if err := m.save(); err != nil {
		m.Log.Warn("what became of files is forgotten at the next start", "err", err)
	}
}

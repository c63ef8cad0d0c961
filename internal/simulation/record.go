package simulation

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const maxRecord = 1 << 20

func recordFile(dir, id string) string { return filepath.Join(dir, "proc", id+".json") }
func logFile(dir, id string) string    { return filepath.Join(dir, "logfiles", id+".log") }

// save writes a record whole or not at all.
func (j *Job) save() error {
	data, err := json.MarshalIndent(j, "", " ")
	if err != nil {
		return fmt.Errorf("write the record of %s: %w", j.ID, err)
	}
	temp := filepath.Join(j.dir, "proc", fmt.Sprintf(".%s.%d", j.ID, os.Getpid()))
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("write the record of %s: %w", j.ID, err)
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, recordFile(j.dir, j.ID))
	}
	if err != nil {
		os.Remove(temp)
		return fmt.Errorf("write the record of %s: %w", j.ID, err)
	}
	return nil
}

// load reads a record.
func load(dir, id string) (*Job, error) {
	f, err := os.Open(recordFile(dir, id))
	if err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", id, err)
	}
	defer f.Close()
	j := &Job{dir: dir}
	if err := json.NewDecoder(io.LimitReader(f, maxRecord)).Decode(j); err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", id, err)
	}
	if j.ID != id {
		return nil, fmt.Errorf("the record of %s is of %.100q", id, j.ID)
	}
	return j, nil
}

// loadAll reads the records of a host in a project. What is none is passed over.
func loadAll(dir, host string) []*Job {
	entries, err := os.ReadDir(filepath.Join(dir, "proc"))
	if err != nil {
		return nil
	}
	var jobs []*Job
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(id, ".") {
			continue
		}
		if j, err := load(dir, id); err == nil && j.Host == host {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

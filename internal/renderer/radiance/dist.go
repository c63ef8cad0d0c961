package radiance

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The files by which Honeybee spreads grids (honeybee-radiance,
// "grid split-folder" and "merge-folder"): _info.json lists the grids of a
// folder, _dist_info.json says where the sensors of the first ones are.
const (
	gridsInfo  = "_info.json"
	distInfo   = "_dist_info.json"
	redistInfo = "_redist_info.json" // an older name of it
)

// gridInfo is a grid of a folder.
type gridInfo struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
	FullID     string `json:"full_id"`
	Group      string `json:"group"`
	Count      int    `json:"count"`
}

// distribution is where the sensors of a grid went: lines st_ln to end_ln, from
// 0, of each new grid.
type distribution struct {
	Identifier string      `json:"identifier"`
	DistInfo   []distPiece `json:"dist_info"`
}

type distPiece struct {
	Identifier any `json:"identifier"` // a number or a text
	Start      int `json:"st_ln"`
	End        int `json:"end_ln"`
}

// sensors are those of a measuring field, or of all grids of a folder one after
// the other.
type sensors struct {
	lines []string
	names []string // of the grids, with slashes
	ends  []int    // behind each grid's last line
	files []string // that they were read from
}

// readSensors reads a file of sensors, or the grids that a folder's _info.json
// lists.
func readSensors(file string) (*sensors, error) {
	if filepath.Base(file) == gridsInfo {
		return readGrids(filepath.Dir(file))
	}
	lines, err := readPoints(file)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	return &sensors{lines, []string{name}, []int{len(lines)}, []string{file}}, nil
}

// readGrids reads all grids of a folder.
func readGrids(dir string) (*sensors, error) {
	info := filepath.Join(dir, gridsInfo)
	var grids []gridInfo
	if err := readJSON(info, &grids); err != nil {
		return nil, err
	}
	s := &sensors{files: []string{info}}
	for _, g := range grids {
		if !filepath.IsLocal(g.FullID) {
			return nil, fmt.Errorf("%s names the grid %.100q, which leaves the folder", gridsInfo, g.FullID)
		}
		if slices.Contains(s.names, g.FullID) {
			return nil, fmt.Errorf("%s names the grid %.100q twice", gridsInfo, g.FullID)
		}
		file := filepath.Join(dir, g.FullID+".pts")
		points, err := readPoints(file)
		if err != nil {
			return nil, err
		}
		if g.Count != 0 && g.Count != len(points) {
			return nil, fmt.Errorf("the grid %s has %d sensors, and %d by %s", g.FullID, len(points), g.Count, gridsInfo)
		}
		s.lines, s.names, s.files = append(s.lines, points...), append(s.names, g.FullID), append(s.files, file)
		s.ends = append(s.ends, len(s.lines))
	}
	for _, name := range []string{distInfo, redistInfo} {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			s.files = append(s.files, file)
		}
	}
	return s, nil
}

// SplitGrids spreads the sensors of the grids in a folder evenly over count new
// ones in another, never more than there are sensors, each with at least least.
func SplitGrids(in, out string, count, least int) error {
	all, err := readGrids(in)
	if err != nil {
		return err
	}
	lines, ends := all.lines, all.ends
	var dist []distribution
	for _, name := range all.names {
		dist = append(dist, distribution{Identifier: name, DistInfo: []distPiece{}})
	}
	if len(lines) == 0 || count < 1 {
		return errors.New("there is nothing to spread: the folder lists no grids, or the count is below 1")
	}
	count = max(1, min(count, len(lines)/max(1, least)))
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var made []gridInfo
	grid := 0
	for k := range count {
		from, to := Range(len(lines), count, k)
		id := strconv.Itoa(k)
		if err := os.WriteFile(filepath.Join(out, id+".pts"), []byte(strings.Join(lines[from:to], "\n")+"\n"), 0o644); err != nil {
			return err
		}
		made = append(made, gridInfo{Name: id, Identifier: id, FullID: id, Count: to - from})
		for at := from; at < to; {
			end := min(to, ends[grid])
			dist[grid].DistInfo = append(dist[grid].DistInfo, distPiece{k, at - from, end - from - 1})
			if at = end; at == ends[grid] {
				grid++
			}
		}
	}
	return errors.Join(writeJSON(filepath.Join(out, gridsInfo), made), writeJSON(filepath.Join(out, distInfo), dist))
}

// MergeGrids puts the results in a folder, a line for each sensor of the new
// grids, back into a file for each first grid. info is the folder with the
// distribution.
func MergeGrids(info, in, out, ending string) error {
	var dist []distribution
	err := readJSON(filepath.Join(info, distInfo), &dist)
	if errors.Is(err, fs.ErrNotExist) {
		err = readJSON(filepath.Join(info, redistInfo), &dist)
	}
	if err != nil {
		return err
	}
	for _, d := range dist {
		if !filepath.IsLocal(d.Identifier) {
			return fmt.Errorf("the distribution names the grid %.100q, which leaves the folder", d.Identifier)
		}
		var lines []string
		for _, p := range d.DistInfo {
			id := fmt.Sprint(p.Identifier)
			if !filepath.IsLocal(id) || p.Start < 0 || p.End < p.Start-1 {
				return fmt.Errorf("the distribution of %s names lines %d to %d of %.100q", d.Identifier, p.Start, p.End, id)
			}
			all, err := resultLines(filepath.Join(in, id+"."+ending))
			if err != nil {
				return err
			}
			if p.End >= len(all) {
				return fmt.Errorf("the results %s.%s have %d lines, and line %d is asked for", id, ending, len(all), p.End+1)
			}
			lines = append(lines, all[p.Start:p.End+1]...)
		}
		path := filepath.Join(out, filepath.FromSlash(d.Identifier)+"."+ending)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// resultLines reads results without Radiance's header.
func resultLines(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []string
	header := false
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 64<<20) // a line of an annual study has 8760 values
	for n := 0; scanner.Scan(); n++ {
		line := scanner.Text()
		if n == 0 && strings.HasPrefix(line, "#?RADIANCE") {
			header = true
		}
		if !header {
			lines = append(lines, line)
		}
		header = header && line != ""
	}
	return lines, scanner.Err()
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the grids: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

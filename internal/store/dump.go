package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"drover.farm/internal/farm"
)

// Table is one table of a store, row by row. Every SQL store has the same tables
// with the same columns, so a farm moves from one to the other table by table,
// whatever is added to them.
type Table struct {
	Name    string
	Columns []string
	// Rows calls fn with each row in any order; values are int64, float64, bool,
	// string or []byte and good until fn returns.
	Rows func(fn func(row []any) error) error
}

// Dumper gives out all that a store holds. Nobody may write to it meanwhile.
type Dumper interface {
	// Dump calls fn for each table, and returns the latest writer's epoch.
	Dump(ctx context.Context, fn func(Table) error) (epoch int64, err error)
}

// Restorer takes in what another store gave out.
type Restorer interface {
	// Empty fails with Conflict, saying what is there, when the store holds
	// anything.
	Empty(ctx context.Context) error
	// Restore fills the store, which must be Empty, in one transaction; the
	// epochs to come are greater than the source's. The Store must then be
	// closed and opened anew.
	Restore(ctx context.Context, from Dumper) error
}

// Occupied is the error of a store that should be empty and has rows.
func Occupied(counts map[string]int64) error {
	var parts []string
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		if counts[t] > 0 {
			parts = append(parts, fmt.Sprintf("%s: %d rows", t, counts[t]))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return farm.Errorf(farm.Conflict, "the database holds a farm already (%s)", strings.Join(parts, ", "))
}

// Plain makes a value one that every store takes: whole numbers become int64 and
// text loses the byte 0, which PostgreSQL's cannot hold.
func Plain(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case string:
		return strings.ReplaceAll(v, "\x00", "")
	}
	return v
}

// Sum says what a table holds, whatever the order of its rows.
type Sum struct {
	Rows  int64
	Mixed [4]uint64 // the SHA-256 of the rows, added up
}

// add counts a row in.
func (s *Sum) add(columns []string, row []any) {
	h := sha256.New()
	cells := make([]string, len(row))
	for i, v := range row {
		if b, ok := v.(bool); ok { // SQLite has no truth values
			v = int64(0)
			if b {
				v = int64(1)
			}
		}
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		cells[i] = fmt.Sprintf("%s=%T:%v", columns[i], v, v)
	}
	slices.Sort(cells) // columns may stand in another order
	for _, c := range cells {
		fmt.Fprintf(h, "%d:%s", len(c), c)
	}
	sum := h.Sum(nil)
	for i := range s.Mixed {
		s.Mixed[i] += binary.BigEndian.Uint64(sum[8*i:])
	}
	s.Rows++
}

// Sums reads all tables of a store.
func Sums(ctx context.Context, d Dumper) (map[string]Sum, error) {
	sums := make(map[string]Sum)
	_, err := d.Dump(ctx, func(t Table) error {
		var s Sum
		err := t.Rows(func(row []any) error {
			s.add(t.Columns, row)
			return nil
		})
		sums[t.Name] = s
		return err
	})
	return sums, err
}

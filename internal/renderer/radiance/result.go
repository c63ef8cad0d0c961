package radiance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"drover.farm/internal/frame"
	"drover.farm/internal/renderer"
)

// CheckPicture sees that a file is a whole Radiance picture of a size; 0 is any.
// Failed runs leave files of nothing but a header, and some of those end with
// success.
func CheckPicture(path string, width, height int) error {
	f, err := os.Open(path)
	if err != nil {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("read the picture: %v", err), Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("read the picture: %v", err), Err: err}
	}
	_, err = frame.Prove(f, info.Size(), frame.Want{Format: frame.HDR, Width: width, Height: height, AllowBlack: true})
	var fault *frame.Fault
	if errors.As(err, &fault) {
		return jobFaultf("the picture is not whole although the program ended with success: %s", fault.Message)
	}
	return err
}

// Bounds of a measuring field.
const (
	maxPoints    = 50_000_000
	maxPointLine = 4096
)

// PointsError is a line of a measuring field that is no sensor.
type PointsError struct {
	Line int
	Why  string
}

func (e *PointsError) Error() string { return fmt.Sprintf("line %d %s", e.Line, e.Why) }

// CheckPoints reads sensors, x y z and the direction dx dy dz a line, and calls
// each with the text of every one. rtrace ends with success at a line that it
// cannot read and gives 0 for a direction of 0; here they are errors.
func CheckPoints(from io.Reader, each func(line string) error) (count int, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxPointLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if why := badPoint(line); why != "" {
			return count, &PointsError{n, why}
		}
		if count++; count > maxPoints {
			return count, &PointsError{n, fmt.Sprintf("is one more than %d sensors", maxPoints)}
		}
		if each != nil {
			if err := each(line); err != nil {
				return count, err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return count, fmt.Errorf("read the sensors: %w", err)
	}
	if count == 0 {
		return 0, errors.New("it has no sensors")
	}
	return count, nil
}

func badPoint(line string) string {
	words := strings.Fields(line)
	if len(words) != 6 {
		return fmt.Sprintf("has %d words: a sensor is x y z and the direction dx dy dz", len(words))
	}
	length := 0.0
	for i, w := range words {
		x, err := strconv.ParseFloat(w, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Sprintf("has %.40q, which is no number", w)
		}
		if i > 2 {
			length += x * x
		}
	}
	if length == 0 {
		return "has a direction of 0 0 0"
	}
	return ""
}

// CheckValues reads rtrace's values, three channels a line, and returns how many
// whole lines there are. bytes is how long those are.
func CheckValues(from io.Reader) (lines int, bytes int64, err error) {
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return lines, bytes, nil
		} else if err != nil {
			return lines, bytes, fmt.Errorf("read the values: %w", err)
		}
		words := strings.Fields(line)
		if len(words) != 3 {
			return lines, bytes, fmt.Errorf("line %d of the values has %d words instead of three channels", lines+1, len(words))
		}
		for _, w := range words {
			if x, err := strconv.ParseFloat(w, 64); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
				return lines, bytes, fmt.Errorf("line %d of the values has %.40q", lines+1, w)
			}
		}
		lines, bytes = lines+1, bytes+int64(len(line))
	}
}

// CheckGrid sees that a file has the values of exactly so many sensors.
func CheckGrid(path string, sensors int) error {
	f, err := os.Open(path)
	if err != nil {
		return &renderer.Fault{Party: renderer.WorkerFault, Message: fmt.Sprintf("read the values: %v", err), Err: err}
	}
	defer f.Close()
	n, size, err := CheckValues(f)
	if err != nil {
		return jobFaultf("%v", err)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if n != sensors || info.Size() != size {
		return jobFaultf("rtrace ended with success and put out values for %d of %d sensors", n, sensors)
	}
	return nil
}

package radiance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxOptions bounds the words of a list of options.
const maxOptions = 400

// option is what is known of an option: how many numbers follow it, and who
// takes it.
type option struct {
	numbers int
	word    bool // a name follows
	by      string
}

// Who takes an option: both, rpict alone, rtrace alone.
const (
	byBoth   = "rpict rtrace"
	byRpict  = "rpict"
	byRtrace = "rtrace"
)

// known are the options that may come from outside (rpict(1), rtrace(1)). None
// of them names a file, starts a program or changes what is written where.
var known = map[string]option{
	"-ab": {1, false, byBoth}, "-aa": {1, false, byBoth}, "-ar": {1, false, byBoth}, "-ad": {1, false, byBoth}, "-as": {1, false, byBoth},
	"-av": {3, false, byBoth}, "-aw": {1, false, byBoth}, "-ae": {0, true, byBoth}, "-ai": {0, true, byBoth},
	"-dj": {1, false, byBoth}, "-dt": {1, false, byBoth}, "-dc": {1, false, byBoth}, "-dr": {1, false, byBoth}, "-dp": {1, false, byBoth}, "-ds": {1, false, byBoth},
	"-ss": {1, false, byBoth}, "-st": {1, false, byBoth}, "-lr": {1, false, byBoth}, "-lw": {1, false, byBoth},
	"-me": {3, false, byBoth}, "-ma": {3, false, byBoth}, "-mg": {1, false, byBoth}, "-ms": {1, false, byBoth},
	"-x": {1, false, byRpict}, "-y": {1, false, byRpict}, "-pa": {1, false, byRpict}, "-pj": {1, false, byRpict}, "-ps": {1, false, byRpict},
	"-pt": {1, false, byRpict}, "-pd": {1, false, byRpict}, "-pm": {1, false, byRpict},
	"-vp": {3, false, byRpict}, "-vd": {3, false, byRpict}, "-vu": {3, false, byRpict}, "-vh": {1, false, byRpict}, "-vv": {1, false, byRpict},
	"-vo": {1, false, byRpict}, "-va": {1, false, byRpict}, "-vs": {1, false, byRpict}, "-vl": {1, false, byRpict},
	"-vtv": {0, false, byRpict}, "-vtl": {0, false, byRpict}, "-vta": {0, false, byRpict}, "-vth": {0, false, byRpict}, "-vtc": {0, false, byRpict}, "-vts": {0, false, byRpict},
}

// switches are options that are turned on and off by + and -.
var switches = map[string]string{"-u": byBoth, "-i": byBoth, "-dv": byBoth, "-bv": byBoth, "-w": byBoth, "-I": byRtrace, "-h": byRtrace}

// CheckOptions sees that a list of options of a program (rpict, rtrace) holds
// none that is not allowed, with the numbers that each needs.
func CheckOptions(program string, args []string) error {
	if len(args) > maxOptions {
		return fmt.Errorf("%d words of options are more than %d", len(args), maxOptions)
	}
	for i := 0; i < len(args); {
		n, err := checkOption(program, args[i:])
		if err != nil {
			return err
		}
		i += n
	}
	return nil
}

func checkOption(program string, args []string) (int, error) {
	name := args[0]
	if by, ok := switches[strings.TrimRight(name, "+-01tfynTFYN")]; ok && name != "-" && strings.Contains(by, program) && len(name) <= 4 {
		return 1, nil
	}
	o, ok := known[name]
	if !ok || !strings.Contains(o.by, program) {
		return 0, fmt.Errorf("the option %.40q of %s is not allowed: options for light and accuracy are, those that name files or programs are not", name, program)
	}
	if o.word {
		if len(args) < 2 || args[1] == "" || strings.ContainsAny(args[1], "/\x00") || args[1][0] == '-' {
			return 0, fmt.Errorf("the option %s takes the name of a modifier", name)
		}
		return 2, nil
	}
	if len(args) <= o.numbers {
		return 0, fmt.Errorf("the option %s takes %d numbers", name, o.numbers)
	}
	for _, text := range args[1 : 1+o.numbers] {
		if x, err := strconv.ParseFloat(text, 64); err != nil || math.IsInf(x, 0) || math.IsNaN(x) || len(text) > 40 {
			return 0, fmt.Errorf("the option %s takes %d numbers, and %.40q is none", name, o.numbers, text)
		}
	}
	return 1 + o.numbers, nil
}

// Split cuts options as they stand in a variable or on a command line into
// words. Quotation marks are not used in options.
func Split(text string) []string { return strings.Fields(text) }

// Without removes options, each with what follows it.
func Without(args []string, names ...string) []string {
	var out []string
	for i := 0; i < len(args); {
		n := 1
		if o, ok := known[args[i]]; ok {
			n += o.numbers
			if o.word {
				n++
			}
		} else if ofFiles[args[i]] {
			n++
		}
		n = min(n, len(args)-i)
		if !slices.Contains(names, args[i]) {
			out = append(out, args[i:i+n]...)
		}
		i += n
	}
	return out
}

// ForTrace are the options of the variable render that rtrace has too: those of
// pictures and views are left out.
func ForTrace(args []string) []string {
	var names []string
	for name, o := range known {
		if o.by == byRpict {
			names = append(names, name)
		}
	}
	return Without(args, names...)
}

// ofFiles are options that rad makes and that name a file or a number.
var ofFiles = map[string]bool{"-af": true, "-vf": true, "-t": true, "-e": true, "-z": true, "-o": true, "-r": true, "-m": true}

// AmbientKey names what ambient values depend on: the octree and all options but
// those of the picture and of the view. Simulations may share an ambient file
// only if theirs are equal.
func AmbientKey(octree string, args []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n", octree)
	for i := 0; i < len(args); {
		n := min(1+known[args[i]].numbers, len(args)-i)
		if known[args[i]].word {
			n = min(2, len(args)-i)
		}
		if known[args[i]].by != byRpict && switches[strings.TrimRight(args[i], "+-01tfynTFYN")] != byRtrace {
			fmt.Fprintf(h, "%s\n", strings.Join(args[i:i+n], " "))
		}
		i += n
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

package expr

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// set is a range expression for tests.
type set []int64

func (s set) Len() int64       { return int64(len(s)) }
func (s set) At(i int64) int64 { return s[i] }
func (s set) String() string {
	parts := make([]string, len(s))
	for i, v := range s {
		parts[i] = strconv.FormatInt(v, 10)
	}
	return strings.Join(parts, ",")
}

func parseSet(text string) (Ints, error) {
	var s set
	for part := range strings.SplitSeq(text, ",") {
		a, b, isRange := strings.Cut(part, "-")
		lo, err := strconv.ParseInt(strings.TrimSpace(a), 10, 64)
		if err != nil {
			return nil, errors.New("no range")
		}
		hi := lo
		if isRange {
			hi, _ = strconv.ParseInt(b, 10, 64)
		}
		for i := lo; i <= hi; i++ {
			s = append(s, i)
		}
	}
	return s, nil
}

func testEnv() *Env {
	symbols := map[string]Value{
		"Param.N": OfInt(7), "Param.Name": OfString("shot"), "Param.F": OfFloat(3.5, "3.500"), "Param.On": OfBool(true), "Param.Off": OfBool(false),
		"Param.Dir": OfPath("/proj/shot01"), "Param.File": OfPath("/proj/a.tar.gz"), "Param.Frames": OfRange(set{1, 2, 3, 5}),
		"Param.List": OfList(Int, []Value{OfInt(3), OfInt(1), OfInt(2)}), "Param.Words": OfList(String, []Value{OfString("a b"), OfString("c")}),
		"Param.if": OfInt(1), "Param.uri": OfPath("s3://bucket/dir/file.obj"), "x": OfInt(10),
		"Task.N": Unknown(Int), "Task.S": Unknown(String), "Task.B": Unknown(Bool), "Task.R": Unknown(Range), "Task.L": Unknown(List(String)), "Task.P": Unknown(Path),
	}
	return &Env{
		Lookup:    func(name string) (Value, bool) { v, ok := symbols[name]; return v, ok },
		ParseInts: parseSet,
		IntsOf: func(v []int64) Ints {
			slices.Sort(v)
			return set(v)
		},
		MapPath: func(p string) string { return strings.Replace(p, "/src", "/dst", 1) },
	}
}

func evaluate(text string, env *Env) (Value, error) {
	e, err := Parse(text)
	if err != nil {
		return Value{}, err
	}
	return e.Eval(env)
}

// TestValues holds expressions to what they give, section by section of the
// specification.
func TestValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		// 1.1 literals and grammar
		"1_000 + 0x2A + 0o17 + 0b101": "1062", "1.5e-3 + 0": "0.0015", "1e10 * 1": "10000000000.0", ".5 + 0": "0.5", "5. + 0": "5.0", "1.50": "1.50", "00": "0",
		`'a\n' + "b" + r'\n' + '''c'''`: "a\nb\\nc", `"\x41\u0042\U00000043\N{LATIN SMALL LETTER Z}"`: "ABCz", "-9223372036854775809.0": "-9.223372036854776e+18", "Param.if": "1", "null": "null", "true": "true", "None == null": "true",
		"[1,\n 2]": "[1, 2]", "-2 ** 2": "-4", "2 ** -1": "0.5", "2 ** 3 ** 2": "512", "not False": "true", "not 1 == 2": "true", "-9223372036854775808": "-9223372036854775808",
		// 1.2 types
		"[1, 2.5]": "[1.0, 2.5]", "[Param.Dir, 'a']": `["/proj/shot01", "a"]`, "[]": "[]", "[[1], [2.5]]": "[[1.0], [2.5]]", "[[], [1]]": "[[], [1]]",
		"5 == 5.0": "true", "'5' == 5": "false", "true == 1": "false", "Param.Dir == '/proj/shot01'": "true", "[1,2,3,5] == Param.Frames": "true", "1 == [1]": "false",
		"[1, 2] < [1, 3]": "true", "[1] < [1, 0]": "true", "'a' < Param.Dir": "false", "false < true": "true",
		// 1.3 evaluation
		"Param.F": "3.500", "Param.F + 1": "4.5", "0.1 + 0.2": "0.30000000000000004", "-0.0": "0.0", "1 < 2 < 3": "true", "1 < 3 < 2": "false", "1 if Param.On else 2": "1",
		"[x * 2 for x2 in [1]]": "[20]", "[i * 2 for i in range(3) if i != 1]": "[0, 4]", "[f for f in Param.Frames]": "[1, 2, 3, 5]", "Param.Name.upper().lower()": "shot",
		"[1 if i > 1 else 0 for i in [1, 2]]": "[0, 1]", "[i for i in (Param.List if Param.On else [])]": "[3, 1, 2]", "[[j for j in range(i)] for i in [1, 2]]": "[[0], [0, 1]]",
		"'abcdef'[1:4]": "bcd", "'abc'[::-1]": "cba", "[1,2,3,4][-3:]": "[2, 3, 4]", "Param.Frames[1:3]": "2,3", "Param.Frames[::-1]": "[5, 3, 2, 1]", "[1,2,3][5:]": "[]", "'abc'[-1]": "c",
		// 2.1 operators
		"7 // 2": "3", "-7 // 2": "-4", "-7 % 3": "2", "7 % -3": "-2", "7.5 // 2": "3", "-7.5 % 2": "0.5", "7 / 2": "3.5", "'ab' * 2": "abab", "2 * 'ab'": "abab", "'x' * -1": "",
		"'b' in 'abc'": "true", "4 not in Param.Frames": "true", "'1' in [1]": "false", "[1] + [2.5]": "[1.0, 2.5]", "[] + ['a']": `["a"]`, "Param.Frames + [9]": "[1, 2, 3, 5, 9]", "[0] * 3": "[0, 0, 0]",
		"'f' + Param.Frames": "f1,2,3,5", "Param.Dir / 'a' / 'b'": "/proj/shot01/a/b", "Param.Dir / '/abs'": "/abs", "Param.Dir + '_x'": "/proj/shot01_x", "null or 'a'": "a", "0 or 1": "0",
		"Param.Off and 1": "false", "Param.On and 1": "1", "Param.N > 0 or fail('bad')": "true", "Param.List[0]": "3", "Param.Frames[-1]": "5",
		// 2.2.1 general
		"len('äb')": "2", "len(Param.Frames)": "4", "len([])": "0", "bool('Yes')": "true", "bool(0.0)": "false", "bool(null)": "false", "string([1, 2][:0])": "[]", "string(null)": "null",
		"int('42')": "42", "int(3.0)": "3", "int('3.0')": "3", "float('2')": "2.0", "list(Param.Frames)": "[1, 2, 3, 5]", "range_expr('1-3')": "1,2,3", "range_expr([3, 1])": "1,3", "string(1.0)": "1.0",
		// 2.2.2 math
		"abs(-3)": "3", "min(1, 2.5)": "1.0", "max([3, 1])": "3", "min(Param.Frames)": "1", "sum([1, 2])": "3", "sum([])": "0", "sum([0.5, 1])": "1.5", "floor(-1.5)": "-2", "ceil(1.2)": "2",
		"round(0.5)": "0", "round(1.5)": "2", "round(2.5)": "2", "round(3.5, 2)": "3.50", "round(1234.5, -1)": "1230", "round(1250, -2)": "1200", "round(1350, -2)": "1400", "round(-0.001, 2)": "0.00", "round(2.5, 0)": "2",
		// 2.2.3 lists
		"range(1, 5)": "[1, 2, 3, 4]", "range(5, 0, -2)": "[5, 3, 1]", "flatten([[1, 2], [3]])": "[1, 2, 3]", "flatten([1])": "[1]", "sorted(Param.List)": "[1, 2, 3]", "reversed([1, 2])": "[2, 1]",
		"unique([1, 2, 1])": "[1, 2]", "any([])": "false", "all([true, false])": "false", "sorted(['b', 'a'])": `["a", "b"]`, "reversed(Param.Frames)": "[5, 3, 2, 1]",
		// 2.2.4 strings
		"'hello World'.capitalize()": "Hello world", "'they\\'re ok'.title()": "They'Re Ok", "' a '.strip()": "a", "'xxaxx'.strip('x')": "a", "'abc'.removeprefix('a')": "bc", "'12'.isdigit()": "true", "''.isdigit()": "false",
		"'aXa'.count('a')": "2", "'äb'.find('b')": "1", "'abab'.rfind('ab')": "2", "'a'.find('z')": "-1", "'a-b'.replace('-', '+')": "a+b", "'a,b'.split(',')": `["a", "b"]`, "''.split(',')": `[""]`, "' a  b '.split()": `["a", "b"]`,
		"'a,b,c'.rsplit(',', 1)": `["a,b", "c"]`, "'a,b,c'.split(',', 1)": `["a", "b,c"]`, "Param.Words.join('-')": "a b-c", "'a'.ljust(3) + '|'": "a  |", "'ab'.center(5)": "  ab ", "(42).zfill(5)": "00042", "zfill(-1, 3)": "-01",
		"zfill(3.14, 8)": "00003.14", "'-10'.zfill(4)": "-010", "'AB'.isupper()": "true", "'a1'.isalnum()": "true", "startswith(Param.Dir, '/proj')": "true",
		// 2.2.5 regular expressions
		`re_search("asset_v042_final.abc", r"_v(\d+)")`: `["_v042", "042"]`, `re_match("asset_v042", r"v(\d+)")`: "null", `re_findall("a1b22", r"\d+")`: `["1", "22"]`, `re_findall("v1.2 v3.4", r"v(\d)\.(\d)")`: `[["1", "2"], ["3", "4"]]`,
		`re_sub("frame_001", r"\d+", "002")`: "frame_002", `re_escape("file[1].txt")`: `file\[1\]\.txt`, `re_split("a1b2c", r"\d", 1)`: `["a", "b2c"]`, `re_search("x", "y") != null`: "false", `re_findall("a١", r"[\d]")`: `["١"]`,
		// 2.2.6 representations
		`repr_sh(["echo", "hello world"])`: "echo 'hello world'", `repr_sh("it's")`: `'it'"'"'s'`, `repr_sh("")`: "''", `repr_cmd("a & b")`: `"a & b"`, `repr_cmd("a ^ b")`: `"a ^^ b"`, `repr_cmd("100%")`: `"100%%"`, `repr_cmd("a")`: "a",
		`repr_pwsh(["a", "b"])`: "@('a', 'b')", "repr_pwsh(true)": "$true", `repr_py("hello\nworld")`: `'hello\nworld'`, `repr_py("it's")`: `"it's"`, "repr_py([true, null == 1])": "[True, False]", "repr_json([1, 2, 3])": "[1, 2, 3]",
		`repr_json("a\"<")`: `"a\"<"`, "repr_py(null)": "None", "repr_json(Param.Frames)": `"1,2,3,5"`, "repr_py(Param.Dir)": "'/proj/shot01'",
		// 2.3 paths
		"Param.File.name": "a.tar.gz", "Param.File.stem": "a.tar", "Param.File.suffix": ".gz", "Param.File.suffixes": `[".tar", ".gz"]`, "Param.File.parent": "/proj", "Param.File.parts": `["/", "proj", "a.tar.gz"]`,
		"Param.File.name.removesuffix(Param.File.suffixes.join(''))": "a", "Param.uri.parts": `["s3://bucket", "dir", "file.obj"]`, "Param.uri.parent": "s3://bucket/dir", "path('s3://bucket/a//b').parts": `["s3://bucket", "a", "", "b"]`,
		"path('s3://bucket/dir/') / 'file'": "s3://bucket/dir/file", "path(['/a', 'b'])": "/a/b", "path('/a//b/./c/')": "/a/b/c", "Param.File.with_name('x')": "/proj/x", "Param.File.with_stem('x')": "/proj/x.gz",
		"Param.File.with_suffix('.zip')": "/proj/a.tar.zip", "path('/r/f_003.exr').with_number(72)": "/r/f_072.exr", "'f_%04d.exr'.with_number(72)": "f_0072.exr", "'f_%d.exr'.with_number(72)": "f_72.exr", "'f_###.exr'.with_number(10000)": "f_10000.exr",
		"'f.exr'.with_number(5)": "f_0005.exr", "'render.0001.exr'.with_number(2)": "render.0002.exr", "'f_003.exr'.with_number(-1)": "f_-01.exr", "Param.Dir.is_absolute()": "true", "Param.Dir.is_relative_to('/proj')": "true",
		"Param.Dir.relative_to(path('/proj'))": "shot01", "apply_path_mapping('/src/a')": "/dst/a", "path('.hidden').suffix": "", "path('/').name": "", "path('a/../b')": "a/../b",
		// 1.2.3 what is unknown has a type
		"Task.N + 1": "?int", "Task.S + 'a'": "?string", "Task.N / 2": "?float", "1 if Task.B else 'a'": "?int | string", "1 if Task.B else null": "?int | nulltype", "Task.B and 1": "?bool | int", "Task.B or fail('x')": "?bool",
		"Task.L[0]": "?string", "[i * 2 for i in Task.R]": "?list[int]", "Task.P / 'a'": "?path", "Task.P.stem": "?string", "Task.R[1:2]": "?range_expr", "re_match(Task.S, 'a')": "?list[string] | nulltype", "Task.N == 'a'": "?bool",
		"fail(Task.S) if Task.B else 1": "?int", "[Task.N, 1.5]": "?list[float]", "Param.Off and Task.N": "false", "(1 if Task.B else 2.5) + 1": "?float | int", "len(Task.L)": "?int", "Task.N ** 2": "?float | int",
	} {
		v, err := evaluate(text, testEnv())
		got := ""
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case !v.Known():
			got = "?" + v.Type().String()
		default:
			got = v.Text()
		}
		if got != want {
			t.Errorf("%s gives %q, want %q", text, got, want)
		}
	}
}

// TestRefused holds what is wrong to a message that says why.
func TestRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "the end stands where a value should", "1 +": "the end stands", "007": "leading zeros", "1__0": "no number", "'a": "not closed", "a b": "an operator", "1 = 2": "an operator", "lambda: 1": "a value", "f(a=1)": `"="`,
		"{1: 2}": "cannot stand", "x.y.z": "has no property y", "nope": "no symbol nope", "nope(1)": "no function nope", "Upper('a')": "perhaps upper", "'a' + 1": "not defined for string, int", "1 if 1 else 2": "must be bool",
		"not 1": "not defined for int", "[1, 'a']": "items of int and string", "[null]": "null cannot be", "[[[1]]]": "two deep", "1 / 0": "division by zero", "1 // 0": "division by zero", "0 ** -1": "negative power", "(-2.0) ** 0.5": "fractional",
		"1e300 * 1e300": "finite", "9223372036854775807 + 1": "64 bits", "-9223372036854775808 // -1": "64 bits", "2 ** 64": "64 bits", "9223372036854775808": "64 bits", "Param.List[3]": "outside", "'abc'[::0]": "step",
		"'a' < 1": "not defined for string and int", "null < 1": "not defined", "[x for x in [1]]": "there already", "[X for X in [1]]": "small letter", "[a for a in 'abc']": "cannot be gone through", "[a for a in [1] for b in [2]]": "one \"for\"",
		"Param.Dir.startswith('/a')": "does not take (path, string)", "(42).upper()": "does not take", "bool(Param.Dir)": "convert path to bool", "bool([1])": "convert list", "bool('maybe')": "no bool", "int(3.75)": "floor, ceil or round",
		"int('3.1')": "no integer", "int('')": "no integer", "float('inf')": "no finite number", "float('nan')": "no finite", "range_expr('')": "no range", "range_expr([])": "at least one value", "fail('Count must be positive')": "Count must be positive",
		"min([])": "non-empty", "'a'.split('')": "empty", "'a'.index('b')": "is not in", "re_search('a', '')": "empty", "re_search('a', '(?=b)')": "lookahead", `re_search('a', r'(a)\1')`: "refers to a group", `re_sub('a', 'a', r'\1')`: "literal",
		"re_search('a', '(')": "no regular expression", "re_search('a', '(x{900}){1}y{900}z{900}[a-z]{900}(abcdefghijklmnopqrst){999}')": "repeats too much", "path('/').with_name('x')": "no name", "Param.File.with_suffix('gz')": "no suffix", "Param.Dir.relative_to('/other')": "does not lie", "'f_%099d'.with_number(1)": "wider",
		"'a' * 10000000000": "too m", "range(1000000000)": "too many operations", "Task.N + 'a'": "not defined for int, string", "fail('a') if Task.B else fail('b')": "neither side", "Task.P.startswith('a')": "does not take",
		"__add__(1, 2)": "cannot be called", "1()": "only functions", `"\N{NO SUCH}"`: "no character's name", `"\N"`: "no character's name", `'\uD800'`: "no character", "sum(['a'])": "does not take", strings.Repeat("(", 200): "nests deeper", "repr_sh([1])": "does not take",
	} {
		v, err := evaluate(text, testEnv())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %q, %v; want an error with %q", text, v.Text(), err, want)
		}
	}
	env := testEnv()
	env.MapPath = nil
	if _, err := evaluate("apply_path_mapping('a')", env); err == nil || !strings.Contains(err.Error(), "only on the host") {
		t.Error(err)
	}
}

func TestPathsOfWindows(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Windows = true
	for text, want := range map[string]string{
		`path(r'C:\a/b') / 'c'`: `C:\a\b\c`, `path(r'\\srv\share\a').parts`: `["\\\\srv\\share\\", "a"]`, `path(r'C:\a').parent.parent`: `C:\`, `path(r'C:\a').is_absolute()`: "true", `path(r'\a').is_absolute()`: "false",
		`path(r'C:\A\b').is_relative_to(r'c:\a')`: "true", `path('s3://b/a') / 'c'`: "s3://b/a/c", `path(r'C:\a').as_posix()`: "C:/a", `path(r'C:\a') / r'D:\b'`: `D:\b`, `path(r'C:\a') / r'\b'`: `C:\b`,
	} {
		v, err := evaluate(text, env)
		if err != nil || v.Text() != want {
			t.Errorf("%s gives %q, %v; want %q", text, v.Text(), err, want)
		}
	}
}

func TestTextsAreWanted(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Texts = true
	for text, want := range map[string]string{
		"['--q', 90, 1.5]": `["--q", "90", "1.5"]`, "(['a', Param.N] if Param.On else null)": `["a", "7"]`, "sorted([10, 2])": "[2, 10]", "[1, 2]": "[1, 2]",
	} {
		if v, err := evaluate(text, env); err != nil || v.Text() != want {
			t.Errorf("%s gives %s, %v", text, v.Text(), err)
		}
	}
	if v, err := evaluate("['a', Task.N]", env); err != nil || v.Type().String() != "list[string]" {
		t.Errorf("%v, %v", v.Type(), err)
	}
	if _, err := evaluate("['a', null]", env); err == nil {
		t.Error("null is an item")
	}
}

// TestNames finds what an expression refers to.
func TestNames(t *testing.T) {
	t.Parallel()
	e, err := Parse("[a.upper() + b for a in Param.L if Param.File.stem == a] + f(Param.L, Session.Dir.join('x'))")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(e.Names()); got != "[Param.L b Param.File.stem Session.Dir]" {
		t.Error(got)
	}
	if !e.Calls("upper") || !e.Calls("f") || e.Calls("__add__") || e.Name() != "" {
		t.Error("the calls are wrong")
	}
	if e, _ = Parse(" Param.X "); e.Name() != "Param.X" {
		t.Error(e.Name())
	}
	e, _ = Parse("[a for a in [1]]")
	if got := e.Shadows(func(n string) bool { return n == "a" }); got != "a" {
		t.Error(got)
	}
}

// TestLimits tells what is too much for this evaluation from what no evaluation
// could do.
func TestLimits(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Budget = &Budget{Ops: 100, Bytes: 10_000}
	if _, err := evaluate("sum(range(200))", env); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	// What is given back in between does not count, and operations are counted to
	// the last one (sections 1.3.9 and 1.3.10).
	env.Budget = &Budget{Ops: 10_000, Bytes: 100_000}
	if v, err := evaluate("len([len(('a' * 10000).upper()) for i in range(117)])", env); err != nil || v.Text() != "117" {
		t.Error(v.Text(), err)
	}
	env.Budget = &Budget{Ops: 10_000, Bytes: 100_000}
	if _, err := evaluate("len([len(('a' * 10000).upper()) for i in range(118)])", env); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	env.Budget = NewBudget()
	if _, err := evaluate("range(20000000)", env); err == nil || errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

func FuzzEval(f *testing.F) {
	for _, s := range []string{"1 + 2 * Param.N", "[x2 for x2 in range(9) if x2 % 2 == 0][1:]", "'a'.split(',') + Task.L", "re_findall(Param.Name, r'[\\w-]')", "Param.Dir / 'a'.with_number(3)", "(1 if Task.B else null) or 'x'[::-1]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		env := testEnv()
		env.Budget = &Budget{Ops: 100_000, Bytes: 1_000_000}
		v, err := e.Eval(env)
		if err == nil && v.Known() {
			_ = v.Text()
		}
	})
}

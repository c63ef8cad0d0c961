package openjd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestApplyPathRules(t *testing.T) {
	t.Parallel()
	rules := []PathRule{
		{PathPosix, "/mnt/shows", "/srv"},
		{PathPosix, "/mnt/shows/new/", "/fast"},
		{PathPosix, "/mnt/shows/new", "/never"},
		{PathWindows, `C:\Shows`, "/srv/c"},
		{PathWindows, `\\nas\Share`, "/srv/nas/"},
		{PathPosix, "rel", "/srv/rel"},
		{PathPosix, "/all", "/"},
	}
	tests := []struct {
		in, posix, windows string
		matched            bool
	}{
		{"/mnt/shows", "/srv", `\srv`, true},
		{"/mnt/shows/a/b.exr", "/srv/a/b.exr", `\srv\a\b.exr`, true},
		{"/mnt/shows/a/", "/srv/a/", `\srv\a\`, true},
		{"/mnt//shows/./a", "/srv/a", `\srv\a`, true},
		{"/mnt/shows/new/x", "/fast/x", `\fast\x`, true},
		{"/mnt/showshow", "/mnt/showshow", "/mnt/showshow", false},
		{"/MNT/shows/a", "/MNT/shows/a", "/MNT/shows/a", false},
		{"mnt/shows/a", "mnt/shows/a", "mnt/shows/a", false},
		{`/mnt/shows\a`, `/mnt/shows\a`, `/mnt/shows\a`, false},
		{"rel/x", "/srv/rel/x", `\srv\rel\x`, true},
		{"/rel/x", "/rel/x", "/rel/x", false},
		{"/all/x", "/x", `\x`, true},
		{`c:\shows\A\b`, "/srv/c/A/b", `\srv\c\A\b`, true},
		{`C:/SHOWS/a/`, "/srv/c/a/", `\srv\c\a\`, true},
		{`C:Shows\a`, `C:Shows\a`, `C:Shows\a`, false},
		{`D:\Shows\a`, `D:\Shows\a`, `D:\Shows\a`, false},
		{`\\NAS\share\x`, "/srv/nas/x", `\srv\nas\x`, true},
		{`//nas/share/x`, "/srv/nas/x", `\srv\nas\x`, true},
		{`\nas\share\x`, `\nas\share\x`, `\nas\share\x`, false},
		{"", "", "", false},
	}
	for _, tt := range tests {
		if got, matched := applyPathRules(rules, tt.in, false); got != tt.posix || matched != tt.matched {
			t.Errorf("%q on POSIX: got %q, %v, want %q, %v", tt.in, got, matched, tt.posix, tt.matched)
		}
		if got, matched := applyPathRules(rules, tt.in, true); got != tt.windows || matched != tt.matched {
			t.Errorf("%q on Windows: got %q, %v, want %q, %v", tt.in, got, matched, tt.windows, tt.matched)
		}
	}
	if got, matched := ApplyPathRules(nil, "/a"); got != "/a" || matched {
		t.Errorf("no rules map /a to %q, %v", got, matched)
	}
}

func TestPathRulesDocument(t *testing.T) {
	t.Parallel()
	rules := []PathRule{{PathPosix, "/a", "/b"}, {PathWindows, `C:\a`, "/c"}}
	for _, want := range [][]PathRule{rules, nil} {
		data, err := FormatPathRules(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePathRules(data)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", data, diff)
		}
	}
	head := `{"version": "pathmapping-1.0", "path_mapping_rules": [`
	for in, want := range map[string]string{
		"":                 "not a path mapping document",
		"[]":               "not a path mapping document",
		head:               "not a path mapping document",
		`{"rules": []}`:    "unknown field",
		`{"version": "2"}`: `"2" is not a known version`,
		head + `]} {}`:     "more text",
		head + `{"source_path_format": "posix", "source_path": "/a", "destination_path": "/b"}]}`: "path_mapping_rules[0].source_path_format: \"posix\" is not allowed",
		head + `{"source_path_format": "POSIX", "destination_path": "/b"}]}`:                      "path_mapping_rules[0].source_path: is empty",
		head + `{"source_path_format": "POSIX", "source_path": "/b"}]}`:                           "destination_path: is empty",
		strings.Repeat(" ", 1<<20+1): "at most 1048576",
	} {
		if _, err := ParsePathRules([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", clip(in), err, want)
		}
	}
}

func FuzzPathRules(f *testing.F) {
	f.Add("/a", "/b", "/a/c", true)
	f.Add(`C:\a`, "/b", `c:/A/c\`, false)
	f.Add("", "", "", false)
	f.Fuzz(func(t *testing.T, source, destination, path string, posix bool) {
		rule := PathRule{PathWindows, source, destination}
		if posix {
			rule.SourceFormat = PathPosix
		}
		for _, windows := range []bool{false, true} {
			got, matched := applyPathRules([]PathRule{rule}, path, windows)
			if !matched && got != path {
				t.Fatalf("%q changes to %q without a match", path, got)
			}
		}
	})
}

//go:build unix

package session

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drover.farm/openjd"
)

func TestVariablesOfEnvironments(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Env = append(os.Environ(), "BASE=base", "GONE=gone") })
	outer := env("outer", sh(`echo "enter $BASE $OUT"; echo "openjd_env: DYN=one"; echo "openjd_unset_env: GONE"
		echo "openjd_env: BOTH=x"; echo "openjd_unset_env: BOTH"; echo "openjd_env: BOTH=y"
		printf '%s\n' 'openjd_env: "MULTI=a\nb"'`), sh(`echo "exit outer $DYN $OUT"`))
	outer.Variables = []openjd.Variable{{Name: "OUT", Value: format("{{Session.WorkingDirectory}}/x")}}
	inner := &openjd.Environment{Name: "inner", Variables: []openjd.Variable{{Name: "DYN", Value: format("two")}, {Name: "GONE", Value: format("back")}}}
	show := sh(`echo "DYN=$DYN GONE=${GONE-unset} BOTH=${BOTH-unset} BASE=$BASE MULTI=$(echo "$MULTI" | wc -l)"`)
	b.mustEnter(outer)
	b.mustRun(show)
	b.mustEnter(inner)
	b.mustRun(show)
	if err := b.Exit(context.Background(), outer); err == nil {
		t.Error("an environment was exited out of order")
	}
	for _, e := range []*openjd.Environment{inner, outer} {
		if err := b.Exit(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	b.mustRun(show)
	var got []string
	for _, l := range b.output() {
		if !strings.HasPrefix(l, "openjd_") {
			got = append(got, strings.ReplaceAll(l, " ", "_"))
		}
	}
	x := b.Dir() + "/x"
	want := []string{
		"enter_base_" + x,
		"DYN=one_GONE=unset_BOTH=unset_BASE=base_MULTI=2",
		"DYN=two_GONE=back_BOTH=unset_BASE=base_MULTI=2",
		"exit_outer_one_" + x,
		"DYN=_GONE=gone_BOTH=unset_BASE=base_MULTI=1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFailureEndsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.mustEnter(env("outer", nil, sh("echo exit outer")))
	err := b.Enter(context.Background(), env("inner", sh("exit 5"), sh("echo exit inner")))
	var ae *ActionError
	if !errors.As(err, &ae) || ae.Result.ExitCode != 5 {
		t.Fatalf("got %v", err)
	}
	if r := b.run(sh("echo ran")); !errors.Is(r.Err, ErrEnded) || r.State != Failed {
		t.Errorf("a task ran in an ended session: %+v", r)
	}
	if err := b.Enter(context.Background(), env("more", nil, nil)); !errors.Is(err, ErrEnded) {
		t.Errorf("an environment was entered in an ended session: %v", err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"exit inner", "exit outer"}, b.output()); diff != "" {
		t.Errorf("exits (-want +got):\n%s", diff)
	}
	if r := b.run(sh("echo ran")); !errors.Is(r.Err, ErrClosed) {
		t.Errorf("a closed session runs: %+v", r)
	}
}

func TestEmbeddedFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	files := []openjd.EmbeddedFile{
		{Name: "Run", Filename: "run.sh", Runnable: true, Data: format("#!/bin/sh\necho \"frame {{Task.Param.Frame}} $(basename {{Task.File.Text}})\"\ncat {{Task.File.Text}}; echo changed >> {{Task.File.Text}}\n")},
		{Name: "Text", Filename: "text", Data: format("in {{Session.WorkingDirectory}}\n")},
		{Name: "CRLF", EndOfLine: openjd.EndOfLineCRLF, Data: format("a\nb\r\n")},
	}
	s := step(sh(`{{Task.File.Run}}; ls -l "{{Task.File.Run}}" "{{Task.File.Text}}" | cut -c1-10; od -An -c {{Task.File.CRLF}} | tr -d ' '`), files...)
	for _, frame := range []string{"1", "2"} {
		p := openjd.TaskParameters{{Name: "Frame", Type: openjd.TypeInt, Value: frame}}
		if r := b.Run(context.Background(), s, p, Callbacks{}); r.State != Succeeded {
			t.Fatalf("%+v\n%s", r, b.all())
		}
	}
	var want []string
	for _, frame := range []string{"1", "2"} {
		want = append(want, "frame "+frame+" text", "in "+b.Dir(), "-rwx------", "-rw-------", `a\r\nb\r\n`)
	}
	if diff := cmp.Diff(want, b.output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"../up", "a/b", "..", "."} {
		if _, err := placeFiles(b.Dir(), []openjd.EmbeddedFile{{Name: "X", Filename: bad}}); err == nil {
			t.Errorf("the filename %q was taken", bad)
		}
	}
}

func TestFilesOfEnvironmentsStay(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	e := env("e", sh("cat {{Env.File.Text}}; echo 'openjd_env: TEXT={{Env.File.Text}}'"), sh("cat {{Env.File.Text}}"))
	e.Script.EmbeddedFiles = []openjd.EmbeddedFile{{Name: "Text", Data: format("text of env\n")}}
	b.mustEnter(e)
	b.mustRun(sh(`cat "$TEXT"; echo spoilt > "$TEXT"`))
	if err := b.Exit(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range b.output() {
		if l == "text of env" {
			n++
		}
	}
	if n != 3 {
		t.Errorf("got %q", b.output())
	}
}

func TestPathMapping(t *testing.T) {
	t.Parallel()
	rules := []openjd.PathRule{{SourceFormat: openjd.PathPosix, Source: "/studio", Destination: "/mnt/x"}}
	job := &openjd.Job{Name: "j", Parameters: []openjd.JobParameter{
		{Name: "Scene", Type: openjd.TypePath, Value: "/studio/a.blend"}, {Name: "Text", Type: openjd.TypeString, Value: "/studio/b"}}}
	b := newBench(t, func(c *Config) { c.Job, c.Rules = job, rules })
	p := openjd.TaskParameters{{Name: "Out", Type: openjd.TypePath, Value: "/studio/out"}}
	s := step(sh(`echo "{{Param.Scene}} {{RawParam.Scene}} {{Param.Text}} {{Task.Param.Out}} {{Task.RawParam.Out}} {{Session.HasPathMappingRules}}"
		tr -d ' \n' < "{{Session.PathMappingRulesFile}}"`))
	if r := b.Run(context.Background(), s, p, Callbacks{}); r.State != Succeeded {
		t.Fatalf("%+v\n%s", r, b.all())
	}
	want := []string{
		"/mnt/x/a.blend /studio/a.blend /studio/b /mnt/x/out /studio/out true",
		`{"version":"pathmapping-1.0","path_mapping_rules":[{"source_path_format":"POSIX","source_path":"/studio","destination_path":"/mnt/x"}]}`,
	}
	if diff := cmp.Diff(want, b.output()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

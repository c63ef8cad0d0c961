// Package deploy holds the files by which farms are set up. Its tests hold them
// against the program: flags, settings and metrics that they name must exist.
package deploy

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"drover.farm/internal/cli/config"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// flags are those of serve and work, with what every command of theirs has.
func flags(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for command, settings := range map[string]any{"serve": config.DefaultServe(), "work": config.DefaultWork()} {
		table, err := config.Table(settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range table {
			all[command] = append(all[command], s.Flag())
		}
	}
	all["serve"] = append(all["serve"], "data", "config", "help")
	all["work"] = append(all["work"], "data", "config", "help", "server", "token-file", "ca-file", "patience")
	return all
}

var (
	call = regexp.MustCompile(`drover"?,? "?(serve|work)\b`)
	flag = regexp.MustCompile(`--([a-z][a-z0-9-]*)`)
)

// TestFlagsExist looks at every call of the program in files and pages.
func TestFlagsExist(t *testing.T) {
	t.Parallel()
	known := flags(t)
	calls := 0
	for _, root := range []string{".", "../docs"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") {
				return err
			}
			text := strings.ReplaceAll(read(t, path), "\\\n", " ")
			for _, line := range strings.Split(text, "\n") {
				m := call.FindStringSubmatchIndex(line)
				if m == nil {
					continue
				}
				calls++
				command := line[m[2]:m[3]]
				rest, _, _ := strings.Cut(line[m[3]:], "`")
				for _, f := range flag.FindAllStringSubmatch(rest, -1) {
					if !slices.Contains(known[command], f[1]) {
						t.Errorf("%s: drover %s has no --%s: %s", path, command, f[1], line)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if calls < 10 {
		t.Errorf("only %d calls were found", calls)
	}
}

// object is a part of a manifest.
type object = map[string]any

// at follows keys and, in lists, takes the first element.
func at(v any, path ...string) any {
	for _, key := range path {
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		m, _ := v.(object)
		v = m[key]
	}
	return v
}

func manifests(t *testing.T, path string) map[string]object {
	t.Helper()
	all := make(map[string]object)
	for d := yaml.NewDecoder(strings.NewReader(read(t, path))); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		kind, _ := o["kind"].(string)
		name, _ := at(o, "metadata", "name").(string)
		if kind == "" || name == "" || o["apiVersion"] == nil || o["spec"] == nil {
			t.Errorf("%s: an object lacks its kind, apiVersion, name or spec: %v", path, o)
		}
		all[kind] = o
	}
}

// kinds are the API versions of the objects used.
var kinds = map[string]string{
	"Deployment": "apps/v1", "Service": "v1", "PodDisruptionBudget": "policy/v1", "ScaledObject": "keda.sh/v1alpha1",
}

func TestManifests(t *testing.T) {
	t.Parallel()
	farm, workers := manifests(t, "kubernetes/farm.yaml"), manifests(t, "kubernetes/workers.yaml")
	known := flags(t)
	for _, file := range []map[string]object{farm, workers} {
		for kind, o := range file {
			if kinds[kind] != o["apiVersion"] {
				t.Errorf("%s is of %v, want %q", kind, o["apiVersion"], kinds[kind])
			}
		}
		d := file["Deployment"]
		labels := at(d, "spec", "template", "metadata", "labels", "app")
		if labels == nil || labels != at(d, "spec", "selector", "matchLabels", "app") {
			t.Errorf("the selector does not fit the pods: %v", labels)
		}
		volumes(t, d)
		args, _ := at(d, "spec", "template", "spec", "containers", "args").([]any)
		for _, a := range args[1:] {
			name, _, _ := strings.Cut(strings.TrimPrefix(a.(string), "--"), "=")
			if !slices.Contains(known[args[0].(string)], name) {
				t.Errorf("drover %v has no flag %v", args[0], a)
			}
		}
	}
	if n := at(farm["Deployment"], "spec", "replicas"); n != 3 {
		t.Errorf("the farm has %v servers, want 3", n)
	}
	if app := at(farm["Service"], "spec", "selector", "app"); app != "drover" {
		t.Errorf("the service selects %v", app)
	}
	query, _ := at(workers["ScaledObject"], "spec", "triggers", "metadata", "query").(string)
	metrics := read(t, "../internal/cli/server/metrics.go")
	name := regexp.MustCompile(`drover_([a-z_]+)`).FindStringSubmatch(query)
	if name == nil || !strings.Contains(metrics, `desc("`+name[1]+`"`) {
		t.Errorf("the workers scale on %q, which the farm does not tell", query)
	}
	if target := at(workers["ScaledObject"], "spec", "scaleTargetRef", "name"); target != at(workers["Deployment"], "metadata", "name") {
		t.Errorf("what scales is %v", target)
	}
}

// volumes checks that what is mounted is there, and nothing else.
func volumes(t *testing.T, d object) {
	t.Helper()
	names := func(path ...string) (out []string) {
		list, _ := at(d, path...).([]any)
		for _, v := range list {
			out = append(out, v.(object)["name"].(string))
		}
		slices.Sort(out)
		return out
	}
	have, mounted := names("spec", "template", "spec", "volumes"), names("spec", "template", "spec", "containers", "volumeMounts")
	if !slices.Equal(have, mounted) || len(have) == 0 {
		t.Errorf("volumes %v, mounted %v", have, mounted)
	}
}

// TestUnits reads the systemd units: sections, the program, and times that fit
// one another.
func TestUnits(t *testing.T) {
	t.Parallel()
	for file, command := range map[string]string{"drover.service": "serve", "drover-worker.service": "work"} {
		section, seen := "", map[string]string{}
		for _, line := range strings.Split(read(t, "systemd/"+file), "\n") {
			key, value, ok := strings.Cut(line, "=")
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "["):
				section = line
			case !ok || section == "":
				t.Errorf("%s: %q is no setting", file, line)
			default:
				seen[section+key] = value
			}
		}
		if !strings.HasPrefix(seen["[Service]ExecStart"], "/usr/local/bin/drover "+command+" ") || seen["[Install]WantedBy"] != "multi-user.target" {
			t.Errorf("%s starts %q, wanted by %q", file, seen["[Service]ExecStart"], seen["[Install]WantedBy"])
		}
	}
}

// TestSlurmScript runs the script with a stand-in for srun: each worker gets its
// flags, and SIGTERM to the script reaches them and ends it with success.
func TestSlurmScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("srun", "shift\nexec \"$@\"\n")
	write("drover", `echo "$@" > "$OUT/args"
trap 'echo told > "$OUT/end"; exit 0' TERM
kill -TERM "$SCRIPT"
while :; do sleep 0.05; done
`)
	// The stand-in worker tells the script to end, as Slurm does near the end of
	// the allocation; exec keeps the number of its process.
	cmd := exec.Command("sh", "-c", `SCRIPT=$$ exec sh slurm/drover-workers.sbatch`)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "OUT="+dir, "SLURM_JOB_ID=77", "SLURM_TMPDIR="+dir,
		"DROVER_SERVER=http://farm:7700", "DROVER_TOKEN_FILE=/some/token")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("the script: %v\n%s", err, out.String())
	}
	args := read(t, filepath.Join(dir, "args"))
	if !strings.HasPrefix(args, "work --token-file /some/token --data "+dir+"/drover-77 --worker-grace ") || !strings.Contains(args, "-slurm77") {
		t.Errorf("a worker was started with %q", args)
	}
	if end := read(t, filepath.Join(dir, "end")); end != "told\n" {
		t.Errorf("the worker was not told to end: %q", end)
	}
}

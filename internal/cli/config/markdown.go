package config

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the reference of all settings, docs/configuration.md.
func Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString(intro)
	for _, part := range []struct {
		title, file, text string
		target            any
	}{
		{"The farm: `drover serve`", "drover.yaml", serveText, DefaultServe()},
		{"The worker: `drover work`", "worker.yaml", workText, DefaultWork()},
		{"The Rayserver: `drover rayserver`", "rayserver.yaml", rayserverText, DefaultRayserver()},
	} {
		table, err := Table(part.target)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", part.title, part.text)
		section := "\x00"
		for _, s := range table {
			if head, _, _ := strings.Cut(s.Key, "."); !strings.Contains(s.Key, ".") {
				head = ""
				section = header(&b, section, head)
			} else {
				section = header(&b, section, head)
			}
			def := s.Default
			if def != "" {
				def = "`" + def + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, s.Type, def, strings.ReplaceAll(s.Help, "|", `\|`))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// header begins a table when a section begins.
func header(b *strings.Builder, old, section string) string {
	if old == section {
		return old
	}
	if section != "" {
		fmt.Fprintf(b, "\n### %s\n", section)
	}
	b.WriteString("\n| setting | type | default | |\n|---|---|---|---|\n")
	return section
}

const intro = `# Configuration

This page is made from the table of settings in internal/cli/config; ` + "`go test ./internal/cli/config -update`" + ` writes it anew.

A setting can stand in three places, of which the later wins:

1. in a YAML file: ` + "`drover.yaml`" + ` (farm) or ` + "`worker.yaml`" + ` (worker) in the data folder, or the file that ` + "`--config`" + ` names. Keys that are no settings are refused, with the line;
2. in the environment;
3. on the command line.

The setting ` + "`farm.worker_timeout`" + ` is

` + "```yaml\nfarm:\n  worker_timeout: 2m\n```" + `

in the file, ` + "`DROVER_FARM_WORKER_TIMEOUT=2m`" + ` in the environment and ` + "`--farm-worker-timeout 2m`" + ` on the command line. An environment variable that is empty counts as not set. Durations are written as ` + "`250ms`, `30s`, `5m`, `2h` or `7d`" + `; sizes as ` + "`512MiB`, `10GB` or `2TiB`" + `, or as a number of bytes; lists as YAML lists, or with commas. A 0 where the default is another number stands for the default in the sections ` + "`farm` and `worker`" + `.

All commands know the data folder by ` + "`--data`" + `, else ` + "`DROVER_DATA`, else `~/.local/share/drover`" + `. Commands that speak to a farm find it by ` + "`--server`" + ` or ` + "`DROVER_SERVER`" + ` (default http://127.0.0.1:7700) and show who asks by ` + "`--token-file`" + ` or ` + "`DROVER_TOKEN`" + `, else by ` + "`admin.token`" + ` in the data folder; certificates of their own that farms use are named by ` + "`--ca-file`" + ` or ` + "`DROVER_CA_FILE`" + `.
`

const serveText = "Run `drover serve --help` for the same list."

const workText = "Run `drover work --help` for the same list. The worker keeps its cache and its sessions in the folder `worker` of the data folder."

const rayserverText = "Run `drover rayserver --help` for the same list. The file is `config/rayserver.yaml` of the installation directory, unless `--config` names another; environment variables of these settings begin with `DROVER_RAYSERVER_`. See [doors/rayserver.md](doors/rayserver.md)."

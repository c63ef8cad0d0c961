package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drover.farm/internal/cli/config"
	"drover.farm/internal/cli/server"
	"drover.farm/internal/client"
	"drover.farm/internal/secret"
)

// Local is the flag of the data folder of this machine.
type Local struct {
	Data string `placeholder:"DIR" help:"Data folder. Default: DROVER_DATA, else ~/.local/share/drover."`
}

func (l *Local) dir(a *App) (string, error) {
	dir := l.Data
	if dir == "" {
		dir, _ = a.Env("DROVER_DATA")
	}
	if dir == "" {
		home, _ := a.Env("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return "", usagef("no data folder: name one with --data DIR (%v)", err)
			}
		}
		dir = filepath.Join(home, ".local", "share", "drover")
	}
	return filepath.Abs(dir)
}

// Remote is the flags by which a command finds its farm.
type Remote struct {
	Local
	Server    string `placeholder:"URL" help:"The farm. Default: DROVER_SERVER, else http://127.0.0.1:7700."`
	TokenFile string `placeholder:"FILE" help:"File with the token of your account. Default: DROVER_TOKEN, else admin.token in the data folder."`
	CAFile    string `name:"ca-file" placeholder:"FILE" help:"File with the certificates (PEM) that the farm's is checked against, besides DROVER_CA_FILE and the system's."`
}

// briefly is how long a call is repeated while the farm is out of reach.
// Commands that wait for something try on by themselves.
const briefly = 2 * time.Second

// connect makes the client of the farm; it sends nothing yet.
func (r *Remote) connect(a *App) (*client.Client, error) {
	token, err := r.token(a)
	if err != nil {
		return nil, err
	}
	return r.connectAs(a, token)
}

func (r *Remote) connectAs(a *App, token secret.Text) (*client.Client, error) {
	url := r.Server
	if url == "" {
		url, _ = a.Env("DROVER_SERVER")
	}
	if url == "" {
		url = "http://" + config.DefaultListen
	}
	ca := r.CAFile
	if ca == "" {
		ca, _ = a.Env("DROVER_CA_FILE")
	}
	c, err := client.New(client.Config{Server: url, Token: token, CAFile: ca, UserAgent: "drover/" + Version, Patience: briefly})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func (r *Remote) token(a *App) (secret.Text, error) {
	if r.TokenFile != "" {
		return readToken(r.TokenFile)
	}
	if t, _ := a.Env("DROVER_TOKEN"); strings.TrimSpace(t) != "" {
		return secret.Text(strings.TrimSpace(t)), nil
	}
	dir, err := r.dir(a)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, server.TokenFile)
	t, err := readToken(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no token: there is no %s; name a file that holds one with --token-file, or set DROVER_TOKEN (an administrator makes tokens with \"drover user token LOGIN\")", file)
	}
	return t, err
}

func readToken(path string) (secret.Text, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	defer f.Close()
	t, err := firstLine(f)
	if err != nil {
		return "", fmt.Errorf("read the token %s: %w", path, err)
	}
	return secret.Text(strings.TrimSpace(t)), nil
}

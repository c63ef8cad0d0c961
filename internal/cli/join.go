package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"drover.farm/internal/api"
	"drover.farm/internal/blob/disk"
	"drover.farm/internal/secret"
)

// workerToken is the file in the data folder with the token of a worker that
// joined with a one-time token.
const workerToken = "worker.token"

// join makes this machine one of the farm: with --join the one-time token is
// turned into one of its own, once; later starts find that.
func (c *workCmd) join(a *App, dir string) error {
	file := filepath.Join(dir, workerToken)
	_, err := os.Stat(file)
	known := err == nil
	if given, _ := a.Env("DROVER_TOKEN"); !known && c.Join == "" || c.TokenFile != "" || c.Join == "" && given != "" {
		return nil // with a token of its own, or none
	}
	if !known {
		if err := c.redeem(a, dir, file); err != nil {
			return err
		}
	}
	c.TokenFile = file
	return nil
}

// redeem turns the one-time token into a lasting one. That is on the disk before
// the farm hears of it, so that neither a crash nor a lost answer locks the
// machine out.
func (c *workCmd) redeem(a *App, dir, file string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	pending := file + ".new"
	token, err := readToken(pending)
	if errors.Is(err, fs.ErrNotExist) {
		token = secret.NewToken()
		err = writeDown(pending, token.Reveal()+"\n")
	}
	if err != nil {
		return fmt.Errorf("keep the worker's token: %w", err)
	}
	farm, err := c.connectAs(a, token)
	if err != nil {
		return err
	}
	defer farm.Close()
	host, _ := os.Hostname()
	hash := secret.Hash(token)
	if _, err := farm.Join(a.ctx, api.Join{Once: c.Join, SHA256: hex.EncodeToString(hash[:]), Label: host}); err != nil {
		if _, known := farm.Account(a.ctx); known != nil { // else an earlier try went through
			return fmt.Errorf("join the farm: %w", err)
		}
	}
	if err := os.Rename(pending, file); err != nil {
		return fmt.Errorf("keep the worker's token: %w", err)
	}
	a.say("joined the farm; this machine's token is in %s", file)
	return nil
}

// writeDown makes a file that is on the disk when it returns.
func writeDown(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close(), disk.SyncDir(filepath.Dir(path)))
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"drover.farm/internal/blob/disk"
	"drover.farm/internal/farm"
	"drover.farm/internal/secret"
)

// TokenFile is the name of the first account's token in the data folder.
const TokenFile = "admin.token"

// firstAccount is the login of the account that a new farm has.
const firstAccount = "admin"

// prepareData makes the data folder and sees that it can be written.
func prepareData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w; \"--data DIR\" names another", err)
	}
	f, err := os.CreateTemp(dir, ".writable-")
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		return fmt.Errorf("the data folder %s cannot be written: %w; give this user the right to, or name another with \"--data DIR\"", dir, errors.Unwrap(err))
	} else if err != nil {
		return fmt.Errorf("write to the data folder %s: %w", dir, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// scratch is the folder of the data folder for what lasts as long as a request.
func scratch(dir string) string { return filepath.Join(dir, "scratch") }

// clearScratch removes what an earlier process was killed at. The caller has the
// data folder for itself.
func clearScratch(dir string) error {
	return errors.Join(os.RemoveAll(scratch(dir)), os.Mkdir(scratch(dir), 0o700))
}

// bootstrap makes the account admin of a new farm and leaves its token in the
// data folder. The token is on the disk before the account is, so that a crash
// in between locks nobody out.
func bootstrap(ctx context.Context, f *farm.Farm, dir string, log *slog.Logger) error {
	file, pending := filepath.Join(dir, TokenFile), filepath.Join(dir, TokenFile+".new")
	if old, err := os.ReadFile(pending); err == nil {
		if _, err := f.Authenticate(strings.TrimSpace(string(old))); err == nil {
			return os.Rename(pending, file)
		}
	}
	if _, err := f.Account(firstAccount); err == nil || len(f.AccountList()) > 0 {
		os.Remove(pending)
		return nil
	}
	token := secret.NewToken()
	if err := writeFile(pending, token.Reveal()+"\n", 0o600); err != nil {
		return fmt.Errorf("write the first account's token: %w", err)
	}
	made, err := f.Bootstrap(ctx, farm.User{Login: firstAccount, Roles: []farm.Role{farm.RoleAdmin}},
		farm.Token{Hash: secret.Hash(token), Kind: "token", Label: TokenFile})
	if err != nil {
		return fmt.Errorf("make the account %s: %w", firstAccount, err)
	}
	if !made {
		return os.Remove(pending)
	}
	log.Info("account made", "login", firstAccount, "token_file", file)
	return os.Rename(pending, file)
}

// writeFile puts a file in place in one step, and on the disk.
func writeFile(path, text string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(f.Name(), path), disk.SyncDir(filepath.Dir(path)))
}

// makeToken is how to make a token without a farm.
const makeToken = `echo "drv_$(head -c 32 /dev/urandom | basenc -w0 --base64url | tr -d =)"`

// grantToken gives the account admin the token of a file that the operator made,
// and makes the account if there is none.
func grantToken(ctx context.Context, f *farm.Farm, file string, log *slog.Logger) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read admin_token_file: %w", err)
	}
	word := strings.TrimSpace(string(text))
	if !secret.Looks(word) {
		return fmt.Errorf("admin_token_file %s holds no token; make one with: %s", file, makeToken)
	}
	if p, err := f.Authenticate(word); err == nil && p.Login == firstAccount {
		return nil
	}
	admin := farm.Principal{Login: firstAccount, Roles: []farm.Role{farm.RoleAdmin}}
	t := farm.Token{Hash: secret.Hash(secret.Text(word)), Login: firstAccount, Kind: "token", Label: filepath.Base(file)}
	made, err := f.Bootstrap(ctx, farm.User{Login: firstAccount, Roles: admin.Roles}, t)
	if err == nil && !made {
		err = f.AddToken(ctx, admin, t)
	}
	if err != nil {
		return fmt.Errorf("give the account %s its token: %w", firstAccount, err)
	}
	log.Info("the account has the token of admin_token_file", "login", firstAccount)
	return nil
}

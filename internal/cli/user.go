package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"drover.farm/internal/api"
)

type userCmd struct {
	Add        userAddCmd    `cmd:"" help:"Make an account."`
	Ls         userLsCmd     `cmd:"" help:"List accounts."`
	Passwd     userPasswdCmd `cmd:"" help:"Set the password of an account."`
	Weight     userWeightCmd `cmd:"" help:"Set an account's share of the farm beside others."`
	Ledger     userLedgerCmd `cmd:"" help:"Say what an account earned, spent and was granted."`
	Grant      userGrantCmd  `cmd:"" help:"Grant an account points, or take some."`
	Token      userTokenCmd  `cmd:"" help:"Make a token for an account and print it, this once."`
	RevokeKeys userRevokeCmd `cmd:"" help:"Make all tokens of an account worthless."`
	Rm         userRmCmd     `cmd:"" help:"Remove an account with its tokens; its jobs stay."`
}

type userAddCmd struct {
	Shown
	Remote
	Login         string   `arg:"" help:"Name of the account."`
	Role          []string `required:"" placeholder:"ROLE" help:"Roles, with commas: renderer (lend machines), submitter (submit jobs), operator (steer all jobs and workers), admin (accounts and settings as well)."`
	Weight        float64  `default:"1" placeholder:"N" help:"Share of the farm beside accounts of weight 1."`
	PasswordStdin bool     `help:"Read the password from standard input."`
}

func (c *userAddCmd) Examples() string {
	return `  drover user add anna --role submitter,renderer
  drover user token anna > anna.token
`
}

func (c *userAddCmd) Run(a *App) error {
	u := api.NewUser{Login: c.Login, Roles: c.Role, Weight: c.Weight}
	if c.PasswordStdin {
		p, err := firstLine(a.In)
		if err != nil {
			return fmt.Errorf("read the password from standard input: %w", err)
		}
		u.Password = p
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	made, err := farm.AddUser(a.ctx, u)
	if err != nil {
		return err
	}
	return a.show(c.Shown, made, func(io.Writer) {
		a.say("account %s made (%s); \"drover user token %s\" makes a token for it", made.Login, strings.Join(made.Roles, ", "), made.Login)
	})
}

type userLsCmd struct {
	Shown
	Remote
}

func (c *userLsCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	l, err := farm.Users(a.ctx)
	if err != nil {
		return err
	}
	return a.show(c.Shown, list(l.Users), func(w io.Writer) {
		rows := make([][]string, len(l.Users))
		for i, u := range l.Users {
			rows[i] = []string{u.Login, strings.Join(u.Roles, ","), number(u.Weight), when(u.Created, time.Now())}
		}
		table(w, "LOGIN ROLES WEIGHT CREATED", rows)
	})
}

type oneUser struct {
	Remote
	Login string `arg:"" help:"Name of the account."`
}

type userPasswdCmd struct {
	oneUser
	PasswordStdin bool `help:"Read the password from standard input."`
}

func (c *userPasswdCmd) Run(a *App) error {
	password, err := c.password(a)
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if _, err := farm.ChangeUser(a.ctx, c.Login, api.UserPatch{Password: &password}); err != nil {
		return err
	}
	a.say("password of %s set", c.Login)
	return nil
}

// password asks on a terminal, twice and without showing it, and reads a line
// elsewhere.
func (c *userPasswdCmd) password(a *App) (string, error) {
	f, isFile := a.In.(*os.File)
	if c.PasswordStdin || !isFile || !a.Terminal(a.In) {
		return firstLine(a.In)
	}
	var got [2]string
	for i, prompt := range []string{"New password: ", "Again: "} {
		fmt.Fprint(a.Err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.Err)
		if err != nil {
			return "", err
		}
		got[i] = string(b)
	}
	if got[0] != got[1] {
		return "", errors.New("the two are not the same; nothing was changed")
	}
	return got[0], nil
}

type userWeightCmd struct {
	oneUser
	Weight float64 `arg:"" help:"Above 0; with 2 the account gets twice the share of one with 1."`
}

func (c *userWeightCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if _, err := farm.ChangeUser(a.ctx, c.Login, api.UserPatch{Weight: &c.Weight}); err != nil {
		return err
	}
	a.say("weight of %s is %s", c.Login, number(c.Weight))
	return nil
}

type userTokenCmd struct {
	Shown
	oneUser
}

func (c *userTokenCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	t, err := farm.AddToken(a.ctx, c.Login)
	if err != nil {
		return err
	}
	return a.show(c.Shown, t, func(w io.Writer) { fmt.Fprintln(w, t.Token) })
}

type userRevokeCmd struct{ oneUser }

func (c *userRevokeCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.RevokeTokens(a.ctx, c.Login, ""); err != nil {
		return err
	}
	a.say("tokens of %s revoked; \"drover user token %s\" makes a new one", c.Login, c.Login)
	return nil
}

type userRmCmd struct{ oneUser }

func (c *userRmCmd) Run(a *App) error {
	farm, err := c.connect(a)
	if err != nil {
		return err
	}
	if err := farm.RemoveUser(a.ctx, c.Login); err != nil {
		return err
	}
	a.say("account %s removed", c.Login)
	return nil
}

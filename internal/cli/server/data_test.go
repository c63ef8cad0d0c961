package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drover.farm/internal/farm"
	"drover.farm/internal/secret"
	"drover.farm/internal/store/mem"
)

func openFarm(t *testing.T) *farm.Farm {
	t.Helper()
	f, err := farm.Open(t.Context(), farm.Config{Store: mem.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func token(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestTheFirstStartMakesAnAccount(t *testing.T) {
	t.Parallel()
	f, dir := openFarm(t), t.TempDir()
	for range 2 { // the second start changes nothing
		if err := bootstrap(t.Context(), f, dir, silent); err != nil {
			t.Fatal(err)
		}
		if p, err := f.Authenticate(token(t, dir)); err != nil || !p.Is(farm.RoleAdmin) {
			t.Fatalf("the token gives %+v, %v", p, err)
		}
	}
	if n := len(f.Tokens(firstAccount, "token")); n != 1 {
		t.Errorf("the account has %d tokens", n)
	}
	other := t.TempDir() // another server of the same farm
	if err := bootstrap(t.Context(), f, other, silent); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(other); len(left) != 0 {
		t.Errorf("a farm that has its account leaves %v in another data folder", left)
	}
}

// TestACrashAtTheFirstStart ends the first start after the account was made and
// before the token was at its place.
func TestACrashAtTheFirstStart(t *testing.T) {
	t.Parallel()
	f, dir := openFarm(t), t.TempDir()
	if err := bootstrap(t.Context(), f, dir, silent); err != nil {
		t.Fatal(err)
	}
	want := token(t, dir)
	if err := os.Rename(filepath.Join(dir, TokenFile), filepath.Join(dir, TokenFile+".new")); err != nil {
		t.Fatal(err)
	}
	if err := bootstrap(t.Context(), f, dir, silent); err != nil {
		t.Fatal(err)
	}
	if got := token(t, dir); got != want {
		t.Error("the token that the account has is lost")
	}
}

func TestATokenOfTheOperator(t *testing.T) {
	t.Parallel()
	f := openFarm(t)
	give := func(word string) error {
		t.Helper()
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(word+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return grantToken(t.Context(), f, file, silent)
	}
	first, second := secret.NewToken().Reveal(), secret.NewToken().Reveal()
	for _, word := range []string{first, first, second} {
		if err := give(word); err != nil {
			t.Fatal(err)
		}
		if p, err := f.Authenticate(word); err != nil || p.Login != firstAccount || !p.Is(farm.RoleAdmin) {
			t.Errorf("the token gives %+v, %v", p, err)
		}
	}
	if n := len(f.Tokens(firstAccount, "token")); n != 2 {
		t.Errorf("the account has %d tokens, want 2", n)
	}
	for _, bad := range []string{"", "password", "drv_short"} {
		if err := give(bad); err == nil || !strings.Contains(err.Error(), "make one with") {
			t.Errorf("%q as a token: %v", bad, err)
		}
	}
	if err := grantToken(t.Context(), f, "nothing", silent); err == nil {
		t.Error("a file that is not there is taken")
	}
}

func TestDataFoldersThatCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := prepareData(filepath.Join(file, "data")); err == nil || !strings.Contains(err.Error(), "--data DIR") {
		t.Errorf("a data folder below a file: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := prepareData(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the look at the folder leaves %v, %v", left, err)
	}
}

// TestNothingOfARequestOutlivesItsProcess: what the page laid out of an upload
// when the farm was killed is gone after the next start.
func TestNothingOfARequestOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		if err := clearScratch(dir); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(scratch(dir))
		if err != nil || len(left) != 0 {
			t.Fatalf("%v, %v", left, err)
		}
		if err := os.MkdirAll(filepath.Join(scratch(dir), "drover-submit-1", "a"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

package build_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ingot/images/build"
	"ingot/inventory"
)

// asNobody runs a test of this program again as nobody, in a mount namespace of its own,
// where /etc/subuid and /etc/subgid say ids.
func asNobody(t *testing.T, test, ids, dir string) {
	t.Helper()
	etc := t.TempDir()
	for _, name := range []string{"subuid", "subgid"} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(ids), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "build.test")
	data, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `
for f in subuid subgid; do [ -e /etc/$f ] || exit 99; mount --bind "$1/$f" /etc/$f || exit 99; done
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$2" -test.v -test.run="^$3\$"`, "sh", etc, program, test)
	cmd.Env = append(os.Environ(), "INGOT_AS_NOBODY="+dir, "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 99 {
		t.Skipf("no /etc/subuid to mount over: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("as nobody: %v:\n%s", err, out[max(0, len(out)-4000):])
	}
}

// openDir makes a folder that nobody can write to, and its parents can be entered.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "ingot-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestUnprivileged(t *testing.T) {
	const steps = "steps:\n  - users: [{name: web, sshKeys: ['ssh-ed25519 AAAA x']}]\n  - files: [{path: /home/web/x, owner: web, content: y}]\n  - script: {run: 'test $(stat -c %U /home/web/x) = web'}\n"
	if dir := os.Getenv("INGOT_AS_NOBODY"); dir != "" {
		first, _ := hashDisk(t, miniRecipe(t, steps), build.Options{Dir: filepath.Join(dir, "scratch"), Cache: filepath.Join(dir, "cache")})
		if err := os.WriteFile(filepath.Join(dir, "sum"), []byte(first), 0o644); err != nil {
			t.Fatal(err)
		}
		checkClean(t, filepath.Join(dir, "scratch"))
		return
	}
	needTools(t)
	if _, err := exec.LookPath("newuidmap"); err != nil {
		t.Skip("no newuidmap: apt-get install uidmap")
	}
	dir := openDir(t)
	asNobody(t, "TestUnprivileged", "nobody:1000000:65536\n", dir)
	if t.Failed() {
		return
	}
	got, err := os.ReadFile(filepath.Join(dir, "sum"))
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := hashDisk(t, miniRecipe(t, steps), build.Options{Cache: cacheDir(t)}); want != string(got) {
		t.Errorf("as nobody it has the digest %s, as root %s", got, want)
	}
}

func TestUnprivilegedTiny(t *testing.T) {
	if dir := os.Getenv("INGOT_AS_NOBODY"); dir != "" {
		err := build.Build(t.Context(), miniRecipe(t, ""), build.Options{Dir: filepath.Join(dir, "scratch"), Cache: filepath.Join(dir, "cache")}, nothing)
		if !errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), "newuidmap") && !strings.Contains(err.Error(), "usermod --add-subuids") {
			t.Errorf("a Debian without IDs of its own: %v", err)
		}
		sum, _ := hashDisk(t, recipe(t, "tiny"), build.Options{Dir: filepath.Join(dir, "scratch"), Cache: filepath.Join(dir, "cache")})
		t.Log(sum)
		checkClean(t, filepath.Join(dir, "scratch"))
		return
	}
	needTools(t)
	asNobody(t, "TestUnprivilegedTiny", "", openDir(t))
}

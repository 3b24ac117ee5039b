package build_test

import (
	"encoding/json"
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

// prepare leaves the inputs of a build as inputs.json, and a cache with just them, in dir.
func prepare(t *testing.T, result build.Result, dir string) {
	t.Helper()
	document, err := json.Marshal(result.Inputs)
	if err != nil {
		t.Fatal(err)
	}
	digests := []string{strings.TrimPrefix(result.Inputs.PackagesIndex, "sha256:")}
	for _, p := range result.Inputs.Packages {
		digests = append(digests, p.SHA256)
	}
	for _, d := range digests {
		data, err := os.ReadFile(filepath.Join(cacheDir(t), "sha256", d[:2], d))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "cache", "sha256", d[:2], d)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "inputs.json"), document, 0o644); err != nil {
		t.Fatal(err)
	}
}

// buildAsNobody builds from what prepare left, and writes the disk's digest to a file.
func buildAsNobody(t *testing.T, r build.Recipe, dir string) {
	t.Helper()
	document, err := os.ReadFile(filepath.Join(dir, "inputs.json"))
	if err != nil {
		t.Fatal(err)
	}
	pinned, err := build.ParseInputs(document)
	if err != nil {
		t.Fatal(err)
	}
	sum, _ := hashDisk(t, r, build.Options{Dir: filepath.Join(dir, "scratch"), Cache: filepath.Join(dir, "cache"), Pinned: &pinned})
	if err := os.WriteFile(filepath.Join(dir, "sum"), []byte(sum), 0o644); err != nil {
		t.Fatal(err)
	}
	checkClean(t, filepath.Join(dir, "scratch"))
}

func checkSum(t *testing.T, dir, want string) {
	t.Helper()
	if t.Failed() {
		return
	}
	got, err := os.ReadFile(filepath.Join(dir, "sum"))
	if err != nil || string(got) != want {
		t.Errorf("as nobody the disk has the digest %s (%v), as root %s", got, err, want)
	}
}

func TestUnprivileged(t *testing.T) {
	r := miniRecipe(t, "steps:\n  - users: [{name: web, sshKeys: ['ssh-ed25519 AAAA x']}]\n  - files: [{path: /home/web/x, owner: web, content: y}]\n  - script: {run: 'test $(stat -c %U /home/web/x) = web'}\n")
	if dir := os.Getenv("INGOT_AS_NOBODY"); dir != "" {
		buildAsNobody(t, r, dir)
		return
	}
	needTools(t)
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a small Debian twice, half a minute")
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		t.Skip("no newuidmap: apt-get install uidmap")
	}
	dir := openDir(t)
	sum, result := hashDisk(t, r, build.Options{Cache: cacheDir(t)})
	prepare(t, result, dir)
	asNobody(t, "TestUnprivileged", "nobody:1000000:65536\n", dir)
	checkSum(t, dir, sum)
}

func TestUnprivilegedTiny(t *testing.T) {
	r := recipe(t, "tiny")
	if dir := os.Getenv("INGOT_AS_NOBODY"); dir != "" {
		err := build.Build(t.Context(), miniRecipe(t, ""), build.Options{Dir: filepath.Join(dir, "scratch"), Cache: filepath.Join(dir, "cache")}, nothing)
		if !errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), "newuidmap") && !strings.Contains(err.Error(), "usermod --add-subuids") {
			t.Errorf("a Debian without IDs of its own: %v", err)
		}
		buildAsNobody(t, r, dir)
		return
	}
	needTools(t)
	t.Parallel()
	dir := openDir(t)
	sum, result := firstTiny(t)
	prepare(t, result, dir)
	asNobody(t, "TestUnprivilegedTiny", "", dir)
	checkSum(t, dir, sum)
}

package signature

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// toolsVariable names a directory of unpacked Debian packages (dpkg -x), for tools that
// are not installed.
const toolsVariable = "INGOT_TEST_TOOLS"

// runTool runs a tool from the system or from the unpacked packages, and skips the test,
// naming the package, when it is in neither.
func runTool(t *testing.T, debianPackage, name string, args ...string) {
	t.Helper()
	path, libs := findTool(name)
	if path == "" {
		t.Skipf("%s is not there (Debian package %s, installed or unpacked below $%s)", name, debianPackage, toolsVariable)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libs)
	cmd.Stdin = strings.NewReader("")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func findTool(name string) (path, libs string) {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		if p := filepath.Join(dir, name); executable(p) {
			return p, ""
		}
		root := os.Getenv(toolsVariable)
		if p := filepath.Join(root, dir, name); root != "" && executable(p) {
			return p, filepath.Join(root, "lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "usr/lib/x86_64-linux-gnu")
		}
	}
	return "", ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// newImage makes a sparse file.
func newImage(t *testing.T, sizeBytes int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(f.Truncate(sizeBytes), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// scanFile scans a file as a disk.
func scanFile(t *testing.T, path string, sectorBytes int) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	found, err := Scan(f, info.Size(), sectorBytes)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// blkidType is what libblkid calls the whole image; empty when blkid isn't there.
func blkidType(t *testing.T, path string) string {
	t.Helper()
	tool, _ := findTool("blkid")
	if tool == "" {
		t.Log("blkid is not there: not compared")
		return ""
	}
	out, err := exec.CommandContext(t.Context(), tool, "-p", "-o", "value", "-s", "TYPE", path).Output()
	if err != nil {
		t.Fatalf("blkid %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}

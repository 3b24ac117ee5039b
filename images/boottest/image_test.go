package boottest

import (
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ingot/images/master"
)

var (
	tinyUp = regexp.MustCompile(`Welcome to GRUB`)
	never  = regexp.MustCompile(`this is never said`)
)

func hash(t *testing.T, path string) [32]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, args, err, out)
	}
	return string(out)
}

// mustOutput is what a program prints on its standard output.
func mustOutput(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, args, err)
	}
	return string(out)
}

// copyDisk makes a sparse copy of a disk image.
func copyDisk(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.raw")
	mustRun(t, "cp", "--sparse=always", "--reflink=auto", path, to)
	return to
}

// partitionOffset is where the partition of a GPT name begins.
func partitionOffset(t *testing.T, path string, name string) int64 {
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
	table, err := master.ReadTable(f, info.Size(), 512)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table.Partitions {
		if p.Name == name {
			return p.FirstLBA * 512
		}
	}
	t.Fatalf("no partition %s in %+v", name, table.Partitions)
	return 0
}

// withoutInitrd is a copy whose boot loader loads no initramfs: the kernel panics.
func withoutInitrd(t *testing.T, path string) string {
	t.Helper()
	path = copyDisk(t, path)
	at := partitionOffset(t, path, "esp")
	image := path + "@@" + strconv.FormatInt(at, 10)
	config := filepath.Join(t.TempDir(), "grub.cfg")
	for line := range strings.Lines(mustRun(t, "mdir", "-b", "-/", "-i", image, "::")) {
		name := strings.TrimSpace(line)
		if !strings.HasSuffix(strings.ToLower(name), "/grub.cfg") {
			continue
		}
		text := mustRun(t, "mtype", "-i", image, name)
		text = regexp.MustCompile(`(?m)^\s*initrd.*$`).ReplaceAllString(text, "")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		mustRun(t, "mcopy", "-o", "-i", image, config, name)
	}
	return path
}

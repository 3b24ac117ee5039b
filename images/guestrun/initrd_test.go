package guestrun

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWithFiles lets cpio(1) read what is appended.
func TestWithFiles(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("needs cpio (Debian package cpio)")
	}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "initrd"), filepath.Join(dir, "with")
	if err := os.WriteFile(from, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"/preseed.cfg": []byte("d-i x\n"), "/empty": nil, "/odd": []byte("1234567")}
	if err := withFiles(from, files, to); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(to)
	if err != nil || !bytes.HasPrefix(data, []byte("12345\x00\x00\x00070701")) {
		t.Fatalf("%v, %.40q", err, data)
	}
	cmd := exec.Command("cpio", "-idm", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = t.TempDir(), bytes.NewReader(data[8:])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for _, bad := range []string{"preseed.cfg", "/a/../b", "/"} {
		if _, err := cpio(map[string][]byte{bad: nil}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

package build

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testTree(t testing.TB) *tree {
	t.Helper()
	tr, err := newTree(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestTreeRemove(t *testing.T) {
	tr := testTree(t)
	for _, f := range []string{"/a/first", "/b/other"} {
		if err := tr.write(File{Path: f, Content: f}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"c/second", "d/third"} {
		if err := tr.add(name, &entry{kind: tar.TypeLink, link: "a/first"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.write(File{Path: "/c/second", Content: "new"}); err != nil {
		t.Fatal(err)
	}
	if got := tr.entries["d/third"]; got.kind != tar.TypeLink || got.link != "a/first" {
		t.Errorf("writing over one name changed another: %+v", got)
	}
	if err := tr.add("c/second", &entry{kind: tar.TypeLink, link: "a/first"}); err != nil {
		t.Fatal(err)
	}
	tr.remove("a")
	if got := tr.entries["c/second"]; got.kind != tar.TypeReg || tr.entries["d/third"].link != "c/second" {
		t.Errorf("the other names of a removed file: %+v, %+v", got, tr.entries["d/third"])
	}
	if err := tr.glob("b/*"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".", "b", "c", "c/second", "d", "d/third"}, sortedKeys(tr.entries)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTreeFollowsLinks: a folder that is a link is followed, within the tree.
func TestTreeFollowsLinks(t *testing.T) {
	tr := testTree(t)
	for name, to := range map[string]string{"lib": "usr/lib", "etc/alt": "../../../opt", "abs": "/usr/./lib"} {
		if err := tr.add(name, &entry{kind: tar.TypeSymlink, link: to}); err != nil {
			t.Fatal(err)
		}
	}
	for from, want := range map[string]string{"/lib/x": "usr/lib/x", "/etc/alt/y": "opt/y", "/abs/z": "usr/lib/z"} {
		if err := tr.write(File{Path: from}); err != nil {
			t.Fatal(err)
		}
		if tr.entries[want] == nil {
			t.Errorf("%s is not at %s: %v", from, want, sortedKeys(tr.entries))
		}
	}
}

func TestDatePyc(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pyc")
	for name, c := range map[string]struct{ in, want string }{
		"newer":      {"\xa7\x0d\x0d\x0a\x00\x00\x00\x00\xff\xff\xff\x7fsize", "\xa7\x0d\x0d\x0a\x00\x00\x00\x00\x00\xb9\x55\x69size"},
		"older":      {"\xa7\x0d\x0d\x0a\x00\x00\x00\x00\x00\x00\x00\x10size", "\xa7\x0d\x0d\x0a\x00\x00\x00\x00\x00\x00\x00\x10size"},
		"by content": {"\xa7\x0d\x0d\x0a\x03\x00\x00\x00\xff\xff\xff\x7fhash", "\xa7\x0d\x0d\x0a\x03\x00\x00\x00\xff\xff\xff\x7fhash"},
	} {
		if err := os.WriteFile(file, []byte(c.in), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := datePyc(file); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestShellQuoting(t *testing.T) {
	if got := quote("a b", "it's", `$x"`); got != `'a b' 'it'\''s' '$x"'` {
		t.Errorf("quote: %s", got)
	}
	if got := quotePattern("/var/log/a b;$(x)/*.log"); got != `/var/log/a\ b\;\$\(x\)/*.log` {
		t.Errorf("quotePattern: %s", got)
	}
}

// FuzzReadTar: whatever an archive says, the tree stays consistent and below its root.
func FuzzReadTar(f *testing.F) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range []tar.Header{{Name: "a", Typeflag: tar.TypeDir}, {Name: "a/b", Typeflag: tar.TypeReg, Size: 1}, {Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../a"}, {Name: "l/c", Typeflag: tar.TypeLink, Linkname: "a/b"}} {
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("x")); err != nil {
				f.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := testTree(t)
		if tr.readTar(bytes.NewReader(data)) != nil {
			return
		}
		for name, e := range tr.entries {
			if target := tr.entries[e.link]; e.kind == tar.TypeLink && (target == nil || target.kind == tar.TypeLink || target.kind == tar.TypeDir) {
				t.Errorf("entry %q is a link to %q, which is %+v", name, e.link, target)
			}
			if path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
				t.Errorf("entry %q", name)
			}
			if parent := tr.entries[path.Dir(name)]; parent == nil || parent.kind != tar.TypeDir {
				t.Errorf("entry %q is in no folder", name)
			}
		}
		if err := writeScript(filepath.Join(t.TempDir(), "script"), tr); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseInputs(f *testing.F) {
	document, err := json.Marshal(Inputs{Packages: []Package{{Name: "zstd", Version: "1:1.5", Architecture: "amd64", SHA256: strings.Repeat("0", 64)}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Fuzz(func(t *testing.T, document []byte) {
		in, err := ParseInputs(document)
		if err != nil {
			return
		}
		for _, p := range in.Packages {
			if name := p.fileName(); filepath.Base(name) != name || strings.ContainsAny(name, "\n") {
				t.Errorf("file name %q", name)
			}
		}
	})
}

package bootsets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/pxe/bootfiles"
)

// clock is a time that the test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)} }

func (c *clock) read() time.Time      { return c.now }
func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

// writeSet makes a set whose files have the text in them.
func writeSet(t testing.TB, out, key, text string) {
	t.Helper()
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	m := bootfiles.Manifest{Key: key, KernelVersion: "6.1.0-" + text, Agent: bootfiles.Agent{Version: "c0ffee"}, Packages: []bootfiles.Package{{Name: "linux", Version: text}}}
	for _, name := range []string{bootfiles.Kernel, bootfiles.FirstStage, bootfiles.SecondStage} {
		data := []byte(name + " of " + text)
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		m.Files = append(m.Files, bootfiles.File{Name: name, Path: name, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	if err := m.Write(out); err != nil {
		t.Fatal(err)
	}
}

func openStore(t testing.TB, dir string, c *clock) *Store {
	t.Helper()
	s, err := Open(dir, c.read)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// made adds a set.
func made(t testing.TB, s *Store, text string) inventory.BootSet {
	t.Helper()
	set, err := s.add(func(out, _ string) error { writeSet(t, out, "key of "+text, text); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func states(t testing.TB, s *Store) map[string]inventory.BootSetState {
	t.Helper()
	list, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]inventory.BootSetState{}
	for _, row := range list {
		out[row.Kernel] = row.State
	}
	return out
}

// content reads a file as a machine is given it.
func content(t testing.TB, s *Store, set, name string) string {
	t.Helper()
	f, info, err := s.OpenFile(set, name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil || info.Size() != int64(len(data)) {
		t.Fatalf("%s: %d bytes, %v", name, len(data), err)
	}
	return string(data)
}

// TestSets: a boot that began with one set ends with it, also in another program that has
// the directory open.
func TestSets(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), c)
	if _, err := s.Current(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Current of nothing = %v", err)
	}
	if _, _, err := s.OpenFile("", bootfiles.Kernel); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of nothing: %v", err)
	}
	a := made(t, s, "a")
	if err := s.promote(a.ID); err != nil {
		t.Fatal(err)
	}
	other := openStore(t, s.Dir(), c)
	if got := content(t, other, "", bootfiles.Kernel); got != "vmlinuz of a" {
		t.Errorf("kernel %q", got)
	}
	b := made(t, s, "b")
	if err := s.promote(b.ID); err != nil {
		t.Fatal(err)
	}
	for set, want := range map[string]string{"": "initrd.img of b", a.ID: "initrd.img of a", b.ID: "initrd.img of b"} {
		if got := content(t, other, set, bootfiles.FirstStage); got != want {
			t.Errorf("first stage of %q is %q, want %q", set, got, want)
		}
	}
	for _, bad := range []string{"ffff", "..", "../sets/" + a.ID, "new-1"} {
		if _, _, err := s.OpenFile(bad, bootfiles.Kernel); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("set %q: %v", bad, err)
		}
	}
	if found, err := s.Find(b.ID[:6]); err != nil || found.ID != b.ID || found.Packages[0] != (inventory.BootPackage{Name: "linux", Version: "b"}) {
		t.Errorf("Find = %+v, %v", found, err)
	}
	for ref, want := range map[string]error{"": inventory.ErrNotFound, "zz": inventory.ErrNotFound} {
		if _, err := s.Find(ref); !errors.Is(err, want) {
			t.Errorf("Find(%q) = %v", ref, err)
		}
	}
}

// TestSameContent: newer packages that give the same bytes are no other set.
func TestSameContent(t *testing.T) {
	s := openStore(t, t.TempDir(), newClock())
	first := made(t, s, "a")
	again, err := s.add(func(out, _ string) error { writeSet(t, out, "another key", "a"); return nil })
	if err != nil || again.ID != first.ID {
		t.Fatalf("%+v, %v", again, err)
	}
	if id, found, err := s.withKey("another key"); id != first.ID || !found || err != nil {
		t.Errorf("withKey = %s, %v, %v", id, found, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir(), "sets", newPrefix+"*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestTakeOver: the set of the layout before becomes the current one, also when that was
// cut short, and is not taken over again.
func TestTakeOver(t *testing.T) {
	for _, cut := range []bool{false, true} {
		dir, c := t.TempDir(), newClock()
		writeSet(t, filepath.Join(dir, "set-0011"), "old key", "old")
		old, err := bootfiles.Open(filepath.Join(dir, "set-0011"))
		if err != nil {
			t.Fatal(err)
		}
		m := old.Manifest()
		for i := range m.Files {
			m.Files[i].Path = "set-0011/" + m.Files[i].Name
		}
		if err := errors.Join(m.Write(dir), os.Mkdir(filepath.Join(dir, "set-0022"), 0o755), os.WriteFile(filepath.Join(dir, "part-1"), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		if cut { // killed while it copied
			if err := os.MkdirAll(filepath.Join(dir, "sets", newPrefix+"1", "set"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		s := openStore(t, dir, c)
		if diff := cmp.Diff(map[string]inventory.BootSetState{"6.1.0-old": inventory.BootSetCurrent}, states(t, s)); diff != "" {
			t.Errorf("sets (-want +got):\n%s", diff)
		}
		if got := content(t, s, "", bootfiles.Kernel); got != "vmlinuz of old" {
			t.Errorf("kernel %q", got)
		}
		var names []string
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if diff := cmp.Diff([]string{"current", "lock", "part-1", "sets"}, names); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}
}

func TestLock(t *testing.T) {
	s := openStore(t, t.TempDir(), newClock())
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(t, s.Dir(), newClock()).Lock(); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("second Lock = %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = s.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

// TestRetention: what stays is the current set, the one before, the newest that was never
// current, the newest withdrawn, and what machines use.
func TestRetention(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir(), c)
	ids := map[string]string{}
	for _, text := range []string{"used", "booting", "old", "before", "withdrawn", "current"} {
		ids[text] = made(t, s, text).ID
		if err := s.promote(ids[text]); err != nil {
			t.Fatal(err)
		}
		c.pass(24 * time.Hour)
	}
	if err := s.edit(ids["withdrawn"], func(r *record) { r.Withdrawn = c.now }); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"failed", "candidate"} {
		ids[text] = made(t, s, text).ID
		c.pass(time.Hour)
	}
	content(t, s, ids["booting"], bootfiles.FirstStage)
	c.pass(time.Hour)
	removed, err := s.collect(map[string]int{ids["used"]: 3})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{ids["failed"], ids["old"]}, removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	c.pass(bootGrace)
	if removed, err = s.collect(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{ids["booting"], ids["used"]}, removed); diff != "" {
		t.Errorf("removed later (-want +got):\n%s", diff)
	}
	want := map[string]inventory.BootSetState{"6.1.0-before": inventory.BootSetFormer, "6.1.0-withdrawn": inventory.BootSetWithdrawn,
		"6.1.0-current": inventory.BootSetCurrent, "6.1.0-candidate": inventory.BootSetCandidate}
	if diff := cmp.Diff(want, states(t, s)); diff != "" {
		t.Errorf("sets (-want +got):\n%s", diff)
	}
}

package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images"
	"ingot/images/master"
	"ingot/images/publish"
	"ingot/images/sign"
	"ingot/inventory"
)

// shop is a publisher on a store of its own, whose images boot by BIOS and say so when
// they are tested.
type shop struct {
	*publish.Publisher
	t     *testing.T
	now   time.Time
	tests int
	told  []string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	store, err := images.NewStore(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, now: time.Now()}
	s.Publisher = &publish.Publisher{Store: store, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now },
		Events: func(_ context.Context, p inventory.Payload) error {
			s.told = append(s.told, p.String())
			return nil
		}}
	return s
}

// add stores a version, with tests that passed or not, oldest first.
func (s *shop) add(version string, passed ...bool) inventory.Image {
	s.t.Helper()
	raw := filepath.Join(s.t.TempDir(), "disk.raw")
	if err := os.WriteFile(raw, []byte(version+strings.Repeat(".", 1<<20-len(version))), 0o600); err != nil {
		s.t.Fatal(err)
	}
	image, err := s.Store.Import(s.t.Context(), raw, images.ImportOptions{Name: "web", Version: version, Format: images.FormatRaw,
		Traits: master.Traits{SectorBytes: 512, FirstBoot: master.FirstBootNone, BootModes: []master.BootMode{master.BootBIOS}}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, ok := range passed {
		s.test(image, ok)
	}
	return s.get("web@" + image.Digest)
}

func (s *shop) test(image inventory.Image, passed bool) {
	s.t.Helper()
	s.tests++
	test := inventory.ImageTest{ID: fmt.Sprintf("%03d-bios", s.tests), Mode: "bios", Passed: passed, Started: s.now.Add(time.Duration(s.tests) * time.Second), Problem: map[bool]string{false: "no phone-home"}[passed]}
	if err := s.Store.AddTest(s.t.Context(), image.Digest, test, nil); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) get(ref string) inventory.Image {
	s.t.Helper()
	image, err := s.Store.Get(s.t.Context(), ref)
	if err != nil {
		s.t.Fatal(err)
	}
	return image
}

func (s *shop) release(image inventory.Image, channel string) error {
	_, err := s.Release(s.t.Context(), image, publish.Move{Channel: channel, Why: "built"}, func(publish.Step) {})
	return err
}

// TestRelease: a channel that nobody follows yet moves at once, another one only to what
// passed.
func TestRelease(t *testing.T) {
	s := newShop(t)
	if err := s.release(s.add("1"), "nightly"); err != nil {
		t.Fatal(err)
	}
	if err := s.release(s.add("2", true), "nightly"); err != nil {
		t.Fatal(err)
	}
	if got := s.get("web:nightly").Version; got != "2" {
		t.Errorf("nightly is %s", got)
	}
	three := s.add("3", true, false)
	if _, err := s.promoteTo(three, "nightly"); !errors.Is(err, inventory.ErrConflict) || !strings.Contains(err.Error(), "bios failed (no phone-home)") {
		t.Errorf("a version that failed: %v", err)
	}
	if got := s.get("web:nightly").Version; got != "2" {
		t.Errorf("nightly is %s", got)
	}
	want := "channel web:nightly is " + short(s.get("web:nightly").Digest) + ": built"
	if diff := cmp.Diff(want, s.told[1]); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func short(digest string) string { return digest[:len("sha256:")+12] }

// promoteTo brings an image into a channel by way of one that never pointed anywhere.
func (s *shop) promoteTo(image inventory.Image, to string) (inventory.Image, error) {
	s.t.Helper()
	from := "from-" + image.Version
	if err := s.release(image, from); err != nil {
		s.t.Fatal(err)
	}
	return s.Promote(s.t.Context(), image.Name, from, to)
}

func TestPromoteAndRollback(t *testing.T) {
	s := newShop(t)
	if _, err := s.Promote(t.Context(), "web", "nightly", "stable"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("a channel that is not there: %v", err)
	}
	for _, version := range []string{"1", "2"} {
		if _, err := s.promoteTo(s.add(version, true), "stable"); err != nil {
			t.Fatal(err)
		}
	}
	untested := s.add("3")
	if _, err := s.promoteTo(untested, "stable"); !errors.Is(err, inventory.ErrConflict) || !strings.Contains(err.Error(), "was not tested") {
		t.Errorf("an untested version: %v", err)
	}
	image, err := s.Rollback(t.Context(), "web", "stable")
	if err != nil || image.Version != "1" || s.get("web:stable").Version != "1" {
		t.Errorf("rolled back to %s, %v", image.Version, err)
	}
	if _, err := s.Rollback(t.Context(), "web", "nightly"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("a channel that is not there: %v", err)
	}
	moves, err := s.Store.History(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if last := moves[len(moves)-1]; last.Channel != "stable" || !strings.HasPrefix(last.Why, "rolled back from sha256:") {
		t.Errorf("history %+v", last)
	}
}

func TestRules(t *testing.T) {
	s := newShop(t)
	rule := publish.Rule{From: "nightly", To: "candidate", After: 24 * time.Hour, Passes: 2}
	apply := func(want string) {
		t.Helper()
		image, moved, err := s.Apply(t.Context(), "web", rule)
		if err != nil {
			t.Fatal(err)
		}
		if got := map[bool]string{true: image.Version}[moved]; got != want {
			t.Errorf("after %s it promotes %q, want %q", s.now, got, want)
		}
	}
	apply("")
	one := s.add("1", true)
	if err := s.release(one, "nightly"); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(25 * time.Hour)
	apply("") // once is not twice
	s.test(one, true)
	apply("1")
	apply("")
	two := s.add("2", true, true)
	if err := s.release(two, "nightly"); err != nil {
		t.Fatal(err)
	}
	s.now = time.Now() // the store's clock
	apply("")          // not long enough
	if _, err := s.Rollback(t.Context(), "web", "nightly"); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(25 * time.Hour)
	apply("") // it was bad
}

func TestSignatures(t *testing.T) {
	s := newShop(t)
	key := func() (*sign.Signer, sign.Keys) {
		path := filepath.Join(t.TempDir(), "key")
		public, err := sign.Create(path, "")
		if err != nil {
			t.Fatal(err)
		}
		signer, err := sign.OpenSigner(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return signer, sign.Keys{public}
	}
	ours, keys := key()
	theirs, others := key()
	image := s.add("1", true)
	if _, err := s.Verify(image, keys); !errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), "ingot image sign web@") {
		t.Errorf("not signed: %v", err)
	}
	s.Keys = keys
	if err := s.release(image, "stable"); !errors.Is(err, inventory.ErrDenied) {
		t.Errorf("a channel moved to an image that is not signed: %v", err)
	}
	if err := s.SignWith(t.Context(), image, theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(image, keys); !errors.Is(err, inventory.ErrDenied) {
		t.Errorf("signed by others: %v", err)
	}
	s.Signer = ours
	for range 2 { // the second changes nothing
		if err := s.release(image, "stable"); err != nil {
			t.Fatal(err)
		}
	}
	if signed, err := s.Verify(image, append(others, keys...)); err != nil || len(signed) != 2 {
		t.Errorf("%v, %v", signed, err)
	}
	if got := s.get("web:stable").Signers; len(got) != 2 {
		t.Errorf("signers %v", got)
	}
}

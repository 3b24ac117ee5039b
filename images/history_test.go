package images_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ingot/images"
	"ingot/inventory"
)

// three imports three images of one name.
func three(t *testing.T, store *images.Store) (digests []string) {
	t.Helper()
	for seed := range uint64(3) {
		image, err := store.Import(t.Context(), rawDisk(t, 30+seed), options())
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, image.Digest)
	}
	return digests
}

func move(t *testing.T, store *images.Store, channel, digest, why string) {
	t.Helper()
	if _, err := store.MoveChannel(t.Context(), "web-1", channel, digest, why); err != nil {
		t.Fatal(err)
	}
}

func wantHistory(t *testing.T, store *images.Store, want ...inventory.ChannelMove) {
	t.Helper()
	got, err := store.History(t.Context(), "web-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(inventory.ChannelMove{}, "At")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestHistoryAndRollback(t *testing.T) {
	ctx := context.Background()
	store, _ := newStore(t)
	d := three(t, store)
	if _, err := store.Previous(ctx, "web-1", "stable"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("no channel: %v", err)
	}
	move(t, store, "stable", d[0], "first")
	if _, err := store.Previous(ctx, "web-1", "stable"); !errors.Is(err, inventory.ErrNotFound) || !strings.Contains(err.Error(), "never pointed to another") {
		t.Errorf("one move: %v", err)
	}
	move(t, store, "nightly", d[1], "build")
	move(t, store, "stable", d[1], "promoted")
	move(t, store, "stable", d[1], "to where it is")
	move(t, store, "stable", d[2], "promoted")
	wantHistory(t, store, inventory.ChannelMove{Channel: "stable", Digest: d[0], Why: "first"}, inventory.ChannelMove{Channel: "nightly", Digest: d[1], Why: "build"},
		inventory.ChannelMove{Channel: "stable", Digest: d[1], Why: "promoted"}, inventory.ChannelMove{Channel: "stable", Digest: d[2], Why: "promoted"})
	previous := func(want string) {
		t.Helper()
		if got, err := store.Previous(ctx, "web-1", "stable"); err != nil || got != want {
			t.Errorf("previous %s, %v, want %s", got, err, want)
		}
	}
	previous(d[1])
	move(t, store, "nightly", d[2], "build")
	if err := store.Delete(ctx, d[1]); err != nil {
		t.Fatal(err)
	}
	previous(d[0])
	if err := store.Delete(ctx, d[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Previous(ctx, "web-1", "stable"); !errors.Is(err, inventory.ErrNotFound) || !strings.Contains(err.Error(), "is there any more") {
		t.Errorf("all gone: %v", err)
	}
}

// TestHistoryAfterPowerCut has the file end as a machine that stops may leave it.
func TestHistoryAfterPowerCut(t *testing.T) {
	for name, cut := range map[string]func(text string) string{
		"half a line":      func(text string) string { return text[:len(text)-20] },
		"without its end":  func(text string) string { return text[:len(text)-1] },
		"zeros":            func(text string) string { return text[:len(text)-30] + strings.Repeat("\x00", 30) },
		"line not written": func(text string) string { return text[:strings.LastIndex(text[:len(text)-1], "\n")+1] },
		"nothing written":  func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			store, dir := newStore(t)
			d := three(t, store)
			move(t, store, "stable", d[0], "first")
			move(t, store, "stable", d[1], "second")
			path := filepath.Join(dir, "channels", "web-1.history.jsonl")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(cut(string(text))), 0o644); err != nil {
				t.Fatal(err)
			}
			want := []inventory.ChannelMove{{Channel: "stable", Digest: d[0], Why: "first"}, {Channel: "stable", Digest: d[1], Why: "second"}}
			if name == "nothing written" {
				want = want[1:]
			}
			wantHistory(t, store, want...)
			move(t, store, "stable", d[2], "third")
			wantHistory(t, store, append(want, inventory.ChannelMove{Channel: "stable", Digest: d[2], Why: "third"})...)
		})
	}
	t.Run("damage in the middle", func(t *testing.T) {
		store, dir := newStore(t)
		d := three(t, store)
		move(t, store, "stable", d[0], "first")
		path := filepath.Join(dir, "channels", "web-1.history.jsonl")
		if err := os.WriteFile(path, []byte("{}\nrubbish\n{}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := store.History(t.Context(), "web-1"); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("got %v, want an error that names line 2", err)
		}
	})
}

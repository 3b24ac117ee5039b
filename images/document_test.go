package images_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

func TestDocuments(t *testing.T) {
	ctx := context.Background()
	store, dir := newStore(t)
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("built"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Origin, o.Builder, o.InputsDigest, o.RecipeDigest = "recipe web", "ingot 1", master.DigestOf([]byte("in")), master.DigestOf([]byte("recipe"))
	o.Files, o.FilePaths = map[string][]byte{"recipe.yaml": []byte("name: web")}, map[string]string{"build.log": log}
	disk := rawDisk(t, 40)
	image, err := store.Import(ctx, disk, o)
	if err != nil {
		t.Fatal(err)
	}
	if image.Origin != o.Origin || image.Builder != o.Builder || image.InputsDigest != o.InputsDigest.String() || image.ContentDigest == "" {
		t.Errorf("image: %+v", image)
	}
	if found, err := store.FindContent(ctx, "web-1", image.ContentDigest); err != nil || found.Digest != image.Digest {
		t.Errorf("find content: %+v, %v", found, err)
	}
	if _, err := store.FindContent(ctx, "web-2", image.ContentDigest); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("find content under another name: %v", err)
	}
	if err := store.AddFile(ctx, image.Digest, "lint.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	o.Files = map[string][]byte{"recipe.yaml": []byte("other"), "sbom.cdx.json": []byte("[]")}
	if _, err := store.Import(ctx, disk, o); err != nil {
		t.Fatal(err)
	}
	files, err := store.Files(image.Digest)
	want := []images.File{{Name: "build.log", SizeBytes: 5}, {Name: "lint.json", SizeBytes: 2}, {Name: "recipe.yaml", SizeBytes: 9}, {Name: "sbom.cdx.json", SizeBytes: 2}}
	if diff := cmp.Diff(want, files); diff != "" || err != nil {
		t.Errorf("files: %v (-want +got):\n%s", err, diff)
	}
	f, err := store.File(image.Digest, "recipe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); err != nil || string(text) != "name: web" {
		t.Errorf("recipe: %s, %v", text, err)
	}
	for name, class := range map[string]error{"../image.json": inventory.ErrInvalid, ".hidden": inventory.ErrInvalid, "": inventory.ErrInvalid, "none": inventory.ErrNotFound} {
		if _, err := store.File(image.Digest, name); !errors.Is(err, class) {
			t.Errorf("file %q: %v, want %v", name, err, class)
		}
	}
	if err := store.AddFile(ctx, master.DigestOf(nil).String(), "a", nil); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("add a file to no image: %v", err)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

func TestSkipUnchanged(t *testing.T) {
	store, _ := newStore(t)
	disk := rawDisk(t, 41)
	o := options()
	first, err := store.Import(t.Context(), disk, o)
	if err != nil {
		t.Fatal(err)
	}
	o.SkipUnchanged, o.Level = true, 9 // other frames, and so another digest
	if again, err := store.Import(t.Context(), disk, o); err != nil || again.Digest != first.Digest {
		t.Errorf("the same disk: %s, %v, want %s", again.Digest, err, first.Digest)
	}
	o.GrowPartition = ""
	if other, err := store.Import(t.Context(), disk, o); err != nil || other.Digest == first.Digest {
		t.Errorf("other traits: %s, %v", other.Digest, err)
	}
}

func TestBootTestsAndSignatures(t *testing.T) {
	ctx := context.Background()
	store, dir := newStore(t)
	image, err := store.Import(ctx, rawDisk(t, 42), options())
	if err != nil {
		t.Fatal(err)
	}
	console := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(console, []byte("login:"), 0o644); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 28, 2, 0, 0, 0, time.UTC)
	late := inventory.ImageTest{ID: "a-late", Mode: "uefi", Passed: true, Started: at.Add(time.Hour)}
	early := inventory.ImageTest{ID: "b-early", Mode: "bios", Started: at, Problem: "no login", Checks: []inventory.ImageCheck{{Name: "phone-home"}}}
	for _, test := range []inventory.ImageTest{late, early} {
		if err := store.AddTest(ctx, image.Digest, test, map[string]string{"console.log": console}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.AddTest(ctx, image.Digest, late, nil); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("the same id again: %v, want conflict", err)
	}
	for _, key := range []string{"FEED", "BEEF"} {
		if err := store.PutSignature(ctx, image.Digest, key, []byte("signed by "+key)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Get(ctx, "web-1@"+image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	image.Tests, image.Signers = []inventory.ImageTest{early, late}, []string{"BEEF", "FEED"}
	if diff := cmp.Diff(image, got); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	f, err := store.TestFile(image.Digest, "b-early", "console.log")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := store.TestFile(image.Digest, "b-early", "screen.png"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("no screenshot: %v", err)
	}
	signatures, err := store.Signatures(image.Digest)
	if diff := cmp.Diff(map[string][]byte{"FEED": []byte("signed by FEED"), "BEEF": []byte("signed by BEEF")}, signatures); diff != "" || err != nil {
		t.Errorf("signatures: %v (-want +got):\n%s", err, diff)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

func TestTrust(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 43), options())
	if err != nil {
		t.Fatal(err)
	}
	store.Trust = func(document []byte, signatures map[string][]byte) error {
		if master.DigestOf(document).String() != image.Digest {
			t.Error("asked about another document")
		}
		if len(signatures) == 0 {
			return inventory.ErrDenied
		}
		return nil
	}
	if _, err := store.Open(image.Digest); !errors.Is(err, inventory.ErrDenied) {
		t.Errorf("open: %v, want denied", err)
	}
	if _, err := store.Derive(t.Context(), image.Digest, images.FormatQcow2); !errors.Is(err, inventory.ErrDenied) {
		t.Errorf("derive: %v, want denied", err)
	}
	if err := store.PutSignature(t.Context(), image.Digest, "KEY", []byte("x")); err != nil {
		t.Fatal(err)
	}
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

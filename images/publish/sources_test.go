package publish_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/images"
	"ingot/images/build"
	"ingot/images/publish"
	"ingot/inventory"
)

// cacheDir is the cache of downloads that tests share.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../.cache/test/build")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// booter is bootPublisher, or skips the test without "debian-12" in INGOT_BOOT_TEST.
func booter(t *testing.T) *publish.Publisher {
	t.Helper()
	if testing.Short() || !strings.Contains(os.Getenv("INGOT_BOOT_TEST"), "debian-12") {
		t.Skip("boots take minutes: set INGOT_BOOT_TEST=tiny,debian-12 and leave -short out")
	}
	return bootPublisher(t)
}

// bootPublisher is a publisher with real machines, on the store that INGOT_BOOT_STORE names.
func bootPublisher(t *testing.T) *publish.Publisher {
	t.Helper()
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
	dir := os.Getenv("INGOT_BOOT_STORE")
	if dir == "" {
		dir = t.TempDir()
	}
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	return &publish.Publisher{Store: store, Guest: publish.Machines{Dir: work}, Dir: work, Cache: cacheDir(t), Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// builtAndBooted carries out an order, boots the image by every firmware it is for, and
// returns it, whose tests all passed.
func builtAndBooted(t *testing.T, p *publish.Publisher, o publish.Order) inventory.Image {
	t.Helper()
	began := time.Now()
	step := func(s publish.Step) { t.Logf("%4.0f s  %s", time.Since(began).Seconds(), s.Name) }
	made, err := p.Build(t.Context(), o, t.Output(), step)
	if err != nil {
		t.Fatal(err)
	}
	image, err := p.Test(t.Context(), made.Image, nil, false, step)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range image.Tests {
		t.Logf("%s: passed %v in %.0f s %s", test.Mode, test.Passed, test.Seconds, test.Problem)
		for _, c := range test.Checks {
			t.Logf("  %-24s %-5v %s", c.Name, c.Passed, c.Detail)
		}
	}
	if err := image.Proven(); err != nil {
		t.Error(err)
	}
	return image
}

// TestCloudImage takes a qcow2 that was made before, Debian 12 from the store, through the
// recipe cloud-image and one that goes on from it: packages, files and scripts.
func TestCloudImage(t *testing.T) {
	p := booter(t)
	debian, err := build.EmbeddedRecipe("debian-12")
	if err != nil {
		t.Fatal(err)
	}
	base, err := p.Build(t.Context(), publish.Order{Recipe: debian}, t.Output(), func(publish.Step) {})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	disk := filepath.Join(dir, "base.qcow2")
	if err := p.Store.Export(t.Context(), base.Image.Digest, images.FormatQcow2, disk, images.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	recipe := filepath.Join(dir, "shop.yaml")
	if err := os.WriteFile(recipe, []byte(shopRecipe), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := build.LoadRecipe(recipe, map[string]string{"image": disk, "imageSHA256": sha256File(t, disk)})
	if err != nil {
		t.Fatal(err)
	}
	if image := builtAndBooted(t, p, publish.Order{Recipe: r, Force: true}); image.ContentDigest == base.Image.ContentDigest {
		t.Error("it is the image it was made of")
	}
}

// shopRecipe goes on from the example.
const shopRecipe = `extends: cloud-image
name: shop
steps:
  - packages: [nginx-light, tree]
  - files: [{path: /var/www/html/index.html, content: "a shop\n"}]
  - users: [{name: keeper, groups: [sudo]}]
  - script: {name: say, run: "tree --version > /etc/tree && test \"$SHOP\" = open", env: {SHOP: open}}
  - services: {enable: [nginx.service]}
checks:
  - {name: nginx runs, command: systemctl is-active nginx.service, expect: ^active$}
  - {name: the page, command: curl -s http://127.0.0.1/, expect: ^a shop$}
  - {name: the keeper, command: id -nG keeper, expect: sudo}
  - {name: tree, command: cat /etc/tree, expect: ^tree v}
  - {name: no archive of the build's, command: "ls /run/ingot-packages /etc/apt/sources.list.d/*ingot*", exitCode: 2}
`

func sha256File(t *testing.T, path string) string {
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
	return fmt.Sprintf("%x", h.Sum(nil))
}

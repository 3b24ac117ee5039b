package build_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"ingot/images/build"
	"ingot/inventory"
)

// layer makes a layer of entries.
func layer(t *testing.T, entries ...tar.Header) v1.Layer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "content of " + h.Name
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return static.NewLayer(out.Bytes(), types.OCIUncompressedLayer)
}

// ociLayout writes a layout with one image and returns its folder and digest.
func ociLayout(t *testing.T, layers ...v1.Layer) (dir, digest string) {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return dir, hash.String()
}

func ociRecipe(t *testing.T, dir, digest string) build.Recipe {
	t.Helper()
	r, err := build.ParseRecipe("oci.yaml", []byte("name: box\nrelease: bookworm\ncomponents: [main]\nsizeMiB: 768\nkernelCommandLine: console=ttyS0\npackages: [linux-image-amd64, busybox-static]\nsource:\n  oci: {layout: "+dir+", digest: '"+digest+"'}\nfiles: [{path: /etc/made-by, content: ingot}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func dirEntry(name string) tar.Header  { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
func fileEntry(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }

func TestOCI(t *testing.T) {
	needTools(t)
	t.Parallel()
	dir, digest := ociLayout(t,
		layer(t, dirEntry("usr"), dirEntry("usr/sbin"), tar.Header{Name: "sbin", Typeflag: tar.TypeSymlink, Linkname: "usr/sbin"}, fileEntry("usr/sbin/init"),
			dirEntry("gone"), fileEntry("gone/old"), fileEntry("one"), fileEntry("two"), tar.Header{Name: "three", Typeflag: tar.TypeLink, Linkname: "two"}),
		layer(t, fileEntry("gone/.wh..wh..opq"), fileEntry("gone/new"), fileEntry(".wh.one"), tar.Header{Name: "sbin/tool", Typeflag: tar.TypeReg, Uid: 1000, Gid: 100, Mode: 0o4755}))
	o := build.Options{Dir: t.TempDir(), Cache: cacheDir(t), Log: logFile(t)}
	err := build.Build(t.Context(), ociRecipe(t, dir, digest), o, func(ctx context.Context, result build.Result) error {
		if result.Traits.FirstBoot != "none" {
			t.Errorf("first boot %q, and nobody in the image reads a seed", result.Traits.FirstBoot)
		}
		fs := result.Raw + "?offset=52428800"
		for command, want := range map[string]string{
			"ls -p /gone": "/new/", "stat /usr/sbin/tool": "User:  1000   Group:   100", "stat /three": "Links: 2", "cat /etc/made-by": "ingot", "stat /vmlinuz": `Fast link dest: "boot/vmlinuz-6.1.`, "ls -p /boot": "/initrd.img-6.1.", "ls -p /lib/modules": "/6.1",
		} {
			out, err := exec.CommandContext(ctx, "debugfs", "-R", command, fs).CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v, want %q in: %s", command, err, want, out)
			}
		}
		for _, gone := range []string{"/one", "/gone/old"} {
			if out, _ := exec.CommandContext(ctx, "debugfs", "-R", "stat "+gone, fs).CombinedOutput(); !strings.Contains(string(out), "not found") {
				t.Errorf("%s is there: %s", gone, out)
			}
		}
		out, err := exec.CommandContext(ctx, "e2fsck", "-fn", fs).CombinedOutput()
		if err != nil {
			t.Errorf("e2fsck: %v: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOCIRefuses(t *testing.T) {
	needTools(t)
	init := fileEntry("sbin/init")
	for _, test := range []struct {
		name   string
		layers []v1.Layer
		want   string
	}{
		{"a path that climbs", []v1.Layer{layer(t, init, fileEntry("../etc/x"))}, "not below the root"},
		{"a path that climbs within", []v1.Layer{layer(t, init, fileEntry("a/../../x"))}, "not below the root"},
		{"an absolute path", []v1.Layer{layer(t, init, fileEntry("/etc/x"))}, "not below the root"},
		{"a hard link out", []v1.Layer{layer(t, init, tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "/etc/shadow"})}, "not below the root"},
		{"a hard link to nothing", []v1.Layer{layer(t, init, tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "etc/shadow"})}, "not a file before it"},
		{"a device", []v1.Layer{layer(t, init, tar.Header{Name: "dev/sda", Typeflag: tar.TypeBlock, Devmajor: 8})}, "device node"},
		{"a file for a folder", []v1.Layer{layer(t, init, fileEntry("sbin/init/x"))}, "not a folder"},
		{"a circle of links", []v1.Layer{layer(t, init, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, tar.Header{Name: "b", Typeflag: tar.TypeSymlink, Linkname: "a"}, fileEntry("a/x"))}, "too many symbolic links"},
		{"a line break", []v1.Layer{layer(t, init, fileEntry("a\nrm b"))}, "control characters"},
		{"no init", []v1.Layer{layer(t, fileEntry("x"))}, "no /sbin/init"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, digest := ociLayout(t, test.layers...)
			o := build.Options{Dir: t.TempDir(), Log: logFile(t)}
			err := build.UnpackOCI(t.Context(), ociRecipe(t, dir, digest), o)
			if !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	t.Run("a link out is of the image", func(t *testing.T) {
		// A symbolic link out is followed within the image: nothing is written elsewhere.
		dir, digest := ociLayout(t, layer(t, init, tar.Header{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "/../../../tmp/ingot-escape"}, fileEntry("out/x")))
		if err := build.UnpackOCI(t.Context(), ociRecipe(t, dir, digest), build.Options{Dir: t.TempDir()}); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat("/tmp/ingot-escape"); err == nil {
			t.Error("it was followed out of the image")
		}
	})
	t.Run("a damaged blob", func(t *testing.T) {
		l := layer(t, init)
		dir, digest := ociLayout(t, l)
		hash, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		blob := filepath.Join(dir, "blobs", "sha256", hash.Hex)
		data, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(blob, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := build.UnpackOCI(t.Context(), ociRecipe(t, dir, digest), build.Options{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
	})
}

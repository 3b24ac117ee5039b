package bootfiles

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// unpack lists an image with cpio: what it takes is in the format.
func unpack(t testing.TB, set *Set, name string) []string {
	t.Helper()
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("needs cpio (Debian package cpio)")
	}
	f, _, err := set.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	// cpio stops at the first trailer; the kernel goes on.
	for part := range bytes.SplitSeq(all, []byte("TRAILER!!!")) {
		part = bytes.TrimLeft(part, "\x00")
		if len(part) == 0 {
			continue
		}
		cmd := exec.Command("cpio", "-it", "--quiet")
		cmd.Stdin = bytes.NewReader(append(part, "TRAILER!!!\x00\x00\x00\x00"...))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("cpio: %v: %s", err, out)
		}
		lines = append(lines, strings.Fields(string(out))...)
	}
	return lines
}

func needZstd(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("needs zstd (Debian package zstd)")
	}
}

func TestBuild(t *testing.T) {
	needZstd(t)
	r := Recipe{Root: smallRoot(t), Agent: goProgram(t, "package main\nfunc main() {}\n"), Out: filepath.Join(t.TempDir(), "out")}
	set, err := Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	m := set.Manifest()
	if diff := cmp.Diff([]Missing{{"bnx2", "bnx2/gone.fw"}}, m.MissingFirmware); diff != "" {
		t.Errorf("missing firmware (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{MokX64, ShimARM64, GrubARM64}, m.AbsentFiles); diff != "" {
		t.Errorf("absent files (-want +got):\n%s", diff)
	}
	wantNames := []string{GrubX64, FirstStage, IPXE, SecondStage, ShimX64, SNPOnly, UndiOnly, Kernel}
	if diff := cmp.Diff(wantNames, set.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	const lib = "lib/modules/6.1.0-9-amd64/"
	for image, files := range map[string][]string{
		FirstStage: {"init", "etc/ingot/stage2.json", "dev/console", "dev/null", lib + "kernel/drivers/net/ethernet/intel/igb/igb.ko",
			lib + "modules.dep", "lib/firmware/bnx2/a.fw", "lib/firmware/bnx2/a-1.fw"},
		SecondStage: {lib + "kernel/drivers/ata/ahci.ko", lib + "modules.alias"},
	} {
		packed := unpack(t, set, image)
		for _, f := range files {
			if !contains(packed, f) {
				t.Errorf("%s has no %s, only %v", image, f, packed)
			}
		}
	}
	if err := set.Verify(); err != nil {
		t.Errorf("Verify: %v", err)
	}
	testRebuild(t, r, m)
}

// testRebuild asserts that the same inputs give the same key, in another place the same
// bytes, and another agent another set.
func testRebuild(t *testing.T, r Recipe, before Manifest) {
	if key, err := r.Key(); err != nil || key != before.Key {
		t.Errorf("Key = %s, %v; want %s", key, err, before.Key)
	}
	elsewhere := r
	elsewhere.Out = filepath.Join(t.TempDir(), "elsewhere")
	copied, err := Build(t.Context(), elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, copied.Manifest()); diff != "" {
		t.Errorf("build in another place (-first +second):\n%s", diff)
	}
	if copied.Manifest().Digest() != before.Digest() {
		t.Error("the same files have another digest")
	}
	if _, err := Build(t.Context(), r); err == nil {
		t.Error("a set was built over another one")
	}
	r.Out += "2"
	r.Agent = goProgram(t, "package main\nfunc main() { println(1) }\n")
	changed, err := Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if changed.Manifest().Key == before.Key {
		t.Error("another agent has the same key")
	}
	if changed.Manifest().Digest() == before.Digest() {
		t.Error("another agent has the same digest")
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func TestBuildRefuses(t *testing.T) {
	good := goProgram(t, "package main\nfunc main() {}\n")
	script := filepath.Join(t.TempDir(), "script")
	writeFile(t, filepath.Dir(script), "script", []byte("#!/bin/sh\n"))
	tests := []struct {
		name string
		edit func(*Recipe)
		want string
	}{
		{"no agent", func(r *Recipe) { r.Agent = "/no/agent" }, "/no/agent"},
		{"a script as agent", func(r *Recipe) { r.Agent = script }, "CGO_ENABLED=0"},
		{"a dynamic agent", func(r *Recipe) { r.Agent = "/bin/ls" }, "not static"},
		{"no kernel", func(r *Recipe) { r.Root = t.TempDir() }, "linux-image"},
		{"no shim", func(r *Recipe) { os.Remove(filepath.Join(r.Root, loaders[0].paths[0])) }, "shimx64.efi.signed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Recipe{Root: smallRoot(t), Agent: good, Out: filepath.Join(t.TempDir(), "out")}
			tt.edit(&r)
			if _, err := Build(t.Context(), r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Build = %v; want it to say %q", err, tt.want)
			}
			if left, _ := filepath.Glob(filepath.Join(r.Out, "*")); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of nothing = %v; want fs.ErrNotExist", err)
	}
	writeFile(t, dir, "s/a", []byte("abc"))
	writeFile(t, dir, manifestName, []byte(`{"files":[{"name":"a","path":"s/a","size_bytes":3,"sha256":"00"}]}`))
	set, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, info, err := set.Open("a")
	if err != nil || info.SizeBytes != 3 {
		t.Fatalf("Open(a) = %+v, %v", info, err)
	}
	f.Close()
	for _, name := range []string{"b", "s/a", "../manifest.json", "", "/a"} {
		if _, _, err := set.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q) = %v; want fs.ErrNotExist", name, err)
		}
	}
	if err := set.Verify(); err == nil || !strings.Contains(err.Error(), "verify a") {
		t.Errorf("Verify = %v; want it to name the file", err)
	}
	for name, manifest := range map[string]string{
		"outside":    `{"files":[{"name":"a","path":"../a","size_bytes":3}]}`,
		"cut short":  `{"files":[{"name":"a","path":"s/a","size_bytes":4}]}`,
		"gone":       `{"files":[{"name":"a","path":"s/b","size_bytes":3}]}`,
		"not a JSON": `{`,
	} {
		writeFile(t, dir, manifestName, []byte(manifest))
		if _, err := Open(dir); err == nil {
			t.Errorf("Open with a manifest that is %s = nil; want an error", name)
		}
	}
}

func TestParsePackages(t *testing.T) {
	got, err := parsePackages("# c\namd64 ipxe\narm64 shim-signed # why\namd64 ?rare\n")
	want := []wantedPackage{{"ipxe", false}, {"shim-signed:arm64", false}, {"rare", true}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(wantedPackage{})); diff != "" || err != nil {
		t.Errorf("parsePackages, %v (-want +got):\n%s", err, diff)
	}
	if _, err := parsePackages("ipxe\n"); err == nil {
		t.Error("parsePackages without an architecture = nil; want an error")
	}
	if _, err := parsePackages(packagesTable); err != nil {
		t.Error(err)
	}
}

func TestParseDeb(t *testing.T) {
	for file, want := range map[string]Package{
		"linux-image-6.1.0-40-amd64_6.1.153-1_amd64.deb": {"linux-image-6.1.0-40-amd64", "6.1.153-1"},
		"firmware-bnx2_20230210-5_all.deb":               {"firmware-bnx2", "20230210-5"},
		"shim-signed_1%3a1.44%7e1+deb12u1_arm64.deb":     {"shim-signed:arm64", "1:1.44~1+deb12u1"},
		"notes.txt": {},
	} {
		if got, ok := parseDeb(file); got != want || ok != (want.Name != "") {
			t.Errorf("parseDeb(%q) = %v, %v", file, got, ok)
		}
	}
}

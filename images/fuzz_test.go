package images

import (
	"archive/tar"
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"testing"

	"ingot/inventory"
)

// FuzzHistory reads a history as a power cut may leave it: what is read takes as many
// bytes as it says, and reads the same again.
func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"channel":"stable","digest":"sha256:00","at":"2026-11-28T02:00:00Z"}` + "\n" + `{"chan`))
	f.Add([]byte("\n\n"))
	f.Add([]byte("{}\n\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		moves, size, err := parseHistory(text)
		if err != nil {
			return
		}
		if size > int64(len(text)) {
			t.Fatalf("%d bytes of %d", size, len(text))
		}
		again, sameSize, err := parseHistory(text[:size])
		if err != nil || len(again) != len(moves) || sameSize != size {
			t.Fatalf("read again: %d moves, %d bytes, %v; want %d, %d", len(again), sameSize, err, len(moves), size)
		}
	})
}

// FuzzOVA reads hostile archives: no member may name a file elsewhere.
func FuzzOVA(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range [][2]string{
		{"a.ovf", `<Envelope><References><File id="f" href="a.vmdk"/></References><DiskSection><Disk fileRef="f"/></DiskSection></Envelope>`},
		{"a.mf", "SHA1(a.vmdk)= 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\n"}, {"a.vmdk", "a"},
	} {
		if err := w.WriteHeader(&tar.Header{Name: m[0], Size: int64(len(m[1])), Mode: 0o644}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write([]byte(m[1])); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:700])
	f.Fuzz(func(t *testing.T, file []byte) {
		dir := t.TempDir()
		in := filepath.Join(dir, "in")
		if err := os.WriteFile(in, file, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := os.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if out, err := extractOVA(t.Context(), r, filepath.Join(dir, "out")); err == nil {
			out.Close()
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) > 2 {
			t.Fatalf("files %v, %v", all, err)
		}
	})
}

// FuzzTables reads tables of vhdx and xz that name places anywhere.
func FuzzTables(f *testing.F) {
	head := make([]byte, 256<<10)
	copy(head, "vhdxfile")
	copy(head[vhdxRegionTable:], "regi")
	f.Add(head[vhdxRegionTable:][:64])
	f.Add([]byte("\x00\x01\x32\x80\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x04YZ"))
	f.Fuzz(func(t *testing.T, table []byte) {
		file := append(head[:vhdxRegionTable:vhdxRegionTable], table...)
		_ = checkVHDX(bytes.NewReader(file), file[:headBytes]) // any answer, no panic
		if n, ok := xzBytes(bytes.NewReader(table), int64(len(table))); ok && n < 0 {
			t.Fatalf("%d bytes", n)
		}
	})
}

// TestOVFEscapes has a version that is XML.
func TestOVFEscapes(t *testing.T) {
	v := inventory.Image{Name: "debian-12", SizeBytes: 1 << 30, BootModes: []string{"secureboot"}}
	v.Version = `1 "<&>"`
	text, err := ovfOf(v, Derived{SizeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

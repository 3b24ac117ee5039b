package master_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/images/master"
)

func TestManifestRoundTrip(t *testing.T) {
	m, _ := pack(t, testDisk(t))
	document, err := m.Document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := master.ParseManifestDigest(document, master.DigestOf(document))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := master.ParseManifestDigest(append(document, ' '), master.DigestOf(document)); err == nil {
		t.Error("a changed document passed")
	}
}

func TestManifestRefuses(t *testing.T) {
	for _, test := range []struct {
		name, field string
		change      func(*master.Manifest)
	}{
		{"other format", "format", func(m *master.Manifest) { m.Format = "zip" }},
		{"newer version", "version", func(m *master.Manifest) { m.Version = 3 }},
		{"giant disk", "logicalBytes", func(m *master.Manifest) { m.LogicalBytes = 1 << 60 }},
		{"giant chunk size", "chunkBytes", func(m *master.Manifest) { m.ChunkBytes = 1 << 40 }},
		{"sector size", "sectorBytes", func(m *master.Manifest) { m.SectorBytes = 520 }},
		{"overlap", "chunks[1].offset", func(m *master.Manifest) { m.Chunks[1].Offset = 0 }},
		{"past the end", "chunks[0].offset", func(m *master.Manifest) { m.Chunks[0].Offset = m.LogicalBytes }},
		{"offset wraps around", "chunks[0].offset", func(m *master.Manifest) { m.Chunks[0].Offset = 1<<63 - 512 }},
		{"negative length", "chunks[0].length", func(m *master.Manifest) { m.Chunks[0].Length = -512 }},
		{"chunk above chunkBytes", "chunks[0].length", func(m *master.Manifest) { m.Chunks[0].Length = m.ChunkBytes + 512 }},
		{"unaligned", "chunks[0].offset", func(m *master.Manifest) { m.Chunks[0].Offset = 1 }},
		{"a key of version 1", "chunks[0].frameSha256", func(m *master.Manifest) { m.Chunks[0].FileLength = 1 }},
		{"version 1's size", "dataBytes", func(m *master.Manifest) { m.DataBytes = 1 }},
		{"a negative size", "dataBytes", func(m *master.Manifest) { m.DataBytes = -1 }},
		{"version 1 without a size", "dataBytes", func(m *master.Manifest) { m.Version = 1 }},
		{"frame larger than its chunk", "chunks[0].fileLength", asVersion1(func(m *master.Manifest) { m.Chunks[0].FileLength = 1 << 40 })},
		{"frame past the file", "chunks[0].fileOffset", asVersion1(func(m *master.Manifest) { m.Chunks[0].FileOffset = m.DataBytes })},
		{"no hash of the frame", "chunks[1].frameSha256", asVersion1(func(m *master.Manifest) { m.Chunks[1].FrameSHA256 = master.Digest{} })},
		{"no hash", "chunks[0].sha256", func(m *master.Manifest) { m.Chunks[0].SHA256 = master.Digest{} }},
		{"chunk left out", "contentDigest", func(m *master.Manifest) { m.Chunks = m.Chunks[1:] }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, _ := pack(t, testDisk(t))
			test.change(m)
			document, err := m.Document()
			if err != nil {
				t.Fatal(err)
			}
			var fault *master.ManifestError
			if _, err := master.ParseManifest(document); !errors.As(err, &fault) || fault.Field != test.field {
				t.Errorf("got error %v, want one of field %q", err, test.field)
			}
		})
	}
}

// asVersion1 makes a manifest one of version 1, and then changes it.
func asVersion1(change func(*master.Manifest)) func(*master.Manifest) {
	return func(m *master.Manifest) {
		m.Version = 1
		for i := range m.Chunks {
			c := &m.Chunks[i]
			c.FileOffset, c.FileLength, c.FrameSHA256 = m.DataBytes, 100, c.SHA256
			m.DataBytes += 100
		}
		change(m)
	}
}

func TestManifestVersion1(t *testing.T) {
	m, _ := pack(t, testDisk(t))
	asVersion1(func(*master.Manifest) {})(m)
	document, err := m.Document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := master.ParseManifest(document)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManifestStrict(t *testing.T) {
	m, _ := pack(t, testDisk(t))
	good, err := m.Document()
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]string{
		"empty":       "",
		"unknown key": strings.Replace(string(good), `"version"`, `"colour": 1, "version"`, 1),
		"two objects": string(good) + "{}",
		"bad digest":  strings.Replace(string(good), "sha256:", "md5:", 1),
		"cut short":   string(good[:len(good)/2]),
	} {
		if _, err := master.ParseManifest([]byte(document)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	m, _ := pack(f, testDisk(f))
	document, err := m.Document()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add([]byte(`{"format":"ingot-master","version":1,"chunks":[{"offset":-1}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		m, err := master.ParseManifest(document)
		if err != nil {
			return
		}
		var covered int64
		for _, h := range m.Holes() {
			if h.Length <= 0 {
				t.Fatalf("hole of %d bytes", h.Length)
			}
			covered += h.Length
		}
		if covered += m.ChunkedBytes(); covered != m.LogicalBytes {
			t.Fatalf("chunks and holes cover %d of %d bytes", covered, m.LogicalBytes)
		}
	})
}

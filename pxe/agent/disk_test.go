package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/images/master"
	"ingot/inventory"
	"ingot/pxe/agentapi"
)

const mib = 1 << 20

// testDisk is a file that plays a disk with a sector size, and can break.
type testDisk struct {
	*master.Device
	sectorBytes int
	// writes counts; failFrom makes the n-th write and all later ones fail, 0 none.
	writes   *atomic.Int64
	failFrom int64
	// onWrite is called before each write; nil for nothing.
	onWrite func(n int64)
}

func (d testDisk) SectorBytes() int { return d.sectorBytes }

var errGone = errors.New("input/output error")

func (d testDisk) WriteAt(p []byte, off int64) (int, error) {
	if err := d.writing(); err != nil {
		return 0, err
	}
	return d.Device.WriteAt(p, off)
}

func (d testDisk) Zero(off, n int64) error {
	if err := d.writing(); err != nil {
		return err
	}
	return d.Device.Zero(off, n)
}

func (d testDisk) writing() error {
	n := d.writes.Add(1)
	if d.onWrite != nil {
		d.onWrite(n)
	}
	if d.failFrom > 0 && n >= d.failFrom {
		return errGone
	}
	return nil
}

// newDisk makes a blank disk of its own file.
func newDisk(t testing.TB, sizeBytes int64, sectorBytes int) testDisk {
	t.Helper()
	dev, err := master.CreateFile(filepath.Join(t.TempDir(), "disk"), sizeBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close() }) // may be closed by the agent
	return testDisk{Device: dev, sectorBytes: sectorBytes, writes: new(atomic.Int64)}
}

// rawImage is a small image: GPT, an EFI system partition, a root partition with data.
func rawImage(t testing.TB, sectorBytes int) []byte {
	t.Helper()
	disk := newDisk(t, 12*mib, sectorBytes)
	table, err := master.NewTable(master.NewGUID(master.DigestOf([]byte("disk"))), disk.SizeBytes(), sectorBytes)
	if err != nil {
		t.Fatal(err)
	}
	var at [2]int64
	for i, p := range []struct {
		kind      master.GUID
		name      string
		sizeBytes int64
	}{{master.TypeESP, "efi", 2 * mib}, {master.TypeLinux, "root", 5 * mib}} {
		part, err := table.Append(p.kind, master.NewGUID(master.DigestOf([]byte(p.name))), p.name, p.sizeBytes, 0)
		if err != nil {
			t.Fatal(err)
		}
		at[i], _ = table.Offset(part)
	}
	data := make([]byte, 3*mib)
	rng := rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(data)
	for _, offset := range at {
		if _, err := disk.WriteAt(data[:mib+rand.New(rand.NewPCG(1, 1)).IntN(1000)], offset); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, disk.SizeBytes())
	if _, err := disk.ReadAt(raw, 0); err != nil {
		t.Fatal(err)
	}
	return raw
}

// imageServer serves one master.
type imageServer struct {
	*httptest.Server
	manifest *master.Manifest
	digest   string
	layout   *master.Layout
	raw      []byte
	// flips is how many of the next answers with data get a wrong bit.
	flips atomic.Int64
	data  atomic.Int64
}

func serveImage(t testing.TB, sectorBytes int, traits master.Traits) *imageServer {
	t.Helper()
	s := &imageServer{raw: rawImage(t, sectorBytes)}
	traits.SectorBytes = sectorBytes
	var data bytes.Buffer
	m, err := master.Write(context.Background(), bytes.NewReader(s.raw), int64(len(s.raw)), &data, master.WriteOptions{Traits: traits, ChunkBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := m.Document()
	if err != nil {
		t.Fatal(err)
	}
	s.manifest, s.digest = m, master.DigestOf(doc).String()
	if s.layout, err = (master.ReaderSource{Data: bytes.NewReader(data.Bytes())}).Layout(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/manifest", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(doc) })
	mux.HandleFunc("/data", func(w http.ResponseWriter, r *http.Request) {
		body := data.Bytes()
		chunks := !strings.HasPrefix(r.Header.Get("Range"), "bytes=-") // not the seek table
		if chunks {
			s.data.Add(1)
		}
		if chunks && s.flips.Add(-1) >= 0 {
			body = bytes.Clone(body)
			for i := 0; i < len(body); i += 8 << 10 {
				body[i] ^= 4
			}
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func cloudInit() master.Traits {
	return master.Traits{GrowPartition: "root", FirstBoot: master.FirstBootCloudInit}
}

// seedText stands in a seed of one MiB.
const seedText = "instance-id: i-1"

func testSeed() []byte {
	seed := make([]byte, mib)
	copy(seed, seedText)
	return seed
}

// testAgent is an agent on a machine with one disk.
func testAgent(t testing.TB, s *imageServer, d disk) *Agent {
	t.Helper()
	a := newAgent("test", slog.New(slog.DiscardHandler), newLogBuffer(&bytes.Buffer{}))
	a.retry, a.fetch.pause = time.Millisecond, time.Millisecond
	if s != nil {
		a.params.HTTP, a.fetch.client = s.URL, s.Client()
	}
	a.machine = machine{
		disks: func(context.Context) ([]inventory.Disk, error) {
			return []inventory.Disk{{Name: "vda", Model: "Test", Serial: "S1", SizeBytes: d.SizeBytes(), LogicalSectorBytes: d.SectorBytes()}}, nil
		},
		open: func(name string) (disk, error) {
			if name != "vda" {
				return nil, os.ErrNotExist
			}
			return keptOpen{d}, nil
		},
		efi: firmware{filepath.Join(t.TempDir(), "none")},
	}
	return a
}

// keptOpen leaves the file open for the test.
type keptOpen struct{ disk }

func (keptOpen) Close() error { return nil }

// deployOrder is an order for the image of s.
func deployOrder(t testing.TB, s *imageServer, generation int64) agentapi.Order {
	t.Helper()
	seed, err := agentapi.PackSeed(testSeed())
	if err != nil {
		t.Fatal(err)
	}
	return agentapi.Order{Kind: agentapi.OrderDeploy, Generation: generation, Inventory: "here", Deploy: &agentapi.Deploy{
		Image: "tiny@" + s.digest, Digest: s.digest, ManifestPath: "/manifest", DataPath: "/data", Machine: "m-1", Seed: seed}}
}

// contains tells a missing text of an error, "" when it has it; want "" is no error.
func contains(err error, want string) string {
	switch {
	case err == nil && want != "":
		return "no error, want one with " + strconv.Quote(want)
	case err != nil && want == "":
		return "error " + strconv.Quote(err.Error())
	case err != nil && !strings.Contains(err.Error(), want):
		return "error " + strconv.Quote(err.Error()) + ", want " + strconv.Quote(want)
	}
	return ""
}

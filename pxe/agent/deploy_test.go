package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/images/master"
	"ingot/inventory"
	"ingot/pxe/agentapi"
)

func TestMayWrite(t *testing.T) {
	mark := func(change func(*marker)) func(*testing.T, testDisk) {
		return func(t *testing.T, d testDisk) {
			m := testMarker()
			change(&m)
			if err := writeMarker(d, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreign := func(t *testing.T, d testDisk) {
		table, err := master.NewTable(master.GUID{9}, d.SizeBytes(), d.SectorBytes())
		if err == nil {
			err = table.Write(d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name      string
		disk      func(*testing.T, testDisk)
		sizeBytes int64
		sector    int
		overwrite bool
		done      bool
		want      string
	}{
		{name: "blank"},
		{name: "foreign data", disk: foreign, want: "carries data that this Ingot didn't write"},
		{name: "foreign data, overwrite", disk: foreign, overwrite: true},
		{name: "this order, complete", disk: mark(func(*marker) {}), done: true},
		{name: "this order, complete, overwrite", disk: mark(func(*marker) {}), overwrite: true, done: true},
		{name: "this order, cut", disk: mark(func(m *marker) { m.State = markerWriting })},
		{name: "older order on the disk", disk: mark(func(m *marker) { m.Generation = 2 })},
		{name: "newer order on the disk", disk: mark(func(m *marker) { m.Generation = 4 }), want: "a restored server must not write disks"},
		{name: "newer order on the disk, cut", disk: mark(func(m *marker) { m.Generation, m.State = 4, markerWriting }), want: "a restored server must not write disks"},
		{name: "newer order on the disk, overwrite", disk: mark(func(m *marker) { m.Generation = 4 }), overwrite: true, want: "a restored server must not write disks"},
		{name: "disk of another machine of ours", disk: mark(func(m *marker) { m.Machine, m.Generation = "m-2", 9 })},
		{name: "disk of another installation", disk: mark(func(m *marker) { m.Inventory = "elsewhere" }), want: "an image of another Ingot installation"},
		{name: "disk of another installation, overwrite", disk: mark(func(m *marker) { m.Inventory = "elsewhere" }), overwrite: true},
		{name: "image larger than the disk", sizeBytes: 8 * mib, overwrite: true, want: "choose a larger disk: nothing was written"},
		{name: "no room for the seed", sizeBytes: 12*mib + 512<<10, overwrite: true, want: "image and seed need"},
		{name: "other sector size", sector: 4096, overwrite: true, want: "4096-byte sectors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveImage(t, 512, cloudInit())
			if c.sizeBytes == 0 {
				c.sizeBytes = 64 * mib
			}
			if c.sector == 0 {
				c.sector = 512
			}
			d := newDisk(t, c.sizeBytes, c.sector)
			if c.disk != nil {
				c.disk(t, d)
			}
			o := deployOrder(t, s, 3)
			o.Deploy.Overwrite = c.overwrite
			before := d.writes.Load()
			done, err := mayWrite(&job{order: o, manifest: s.manifest, seed: testSeed(), disk: d, report: &inventory.Report{}})
			if text := contains(err, c.want); text != "" || done != c.done {
				t.Errorf("done %v, want %v; %s", done, c.done, text)
			}
			var permanent *permanentError
			if c.want != "" && !errors.As(err, &permanent) {
				t.Errorf("error %v is not permanent", err)
			}
			if d.writes.Load() != before {
				t.Error("it wrote")
			}
		})
	}
}

// checkWritten looks at a disk after a deploy of s.
func checkWritten(t *testing.T, s *imageServer, d disk, generation int64) {
	t.Helper()
	table, err := master.ReadTable(d, d.SizeBytes(), d.SectorBytes())
	if err != nil {
		t.Fatal(err)
	}
	root, err := table.Find("root")
	if err != nil {
		t.Fatal(err)
	}
	from, length := table.Offset(*root)
	if length < d.SizeBytes()-12*mib {
		t.Errorf("root has %d bytes of %d: it did not grow", length, d.SizeBytes())
	}
	got := make([]byte, 5*mib)
	if _, err := d.ReadAt(got, from); err != nil || !bytes.Equal(got, s.raw[from:from+5*mib]) {
		t.Errorf("root's content differs from the image (%v)", err)
	}
	last, err := table.Find("cidata")
	if err != nil {
		t.Fatal(err)
	}
	at, _ := table.Offset(*last)
	if at < from+length {
		t.Errorf("seed at %d, root ends at %d", at, from+length)
	}
	seed := make([]byte, len(seedText))
	if _, err := d.ReadAt(seed, at); err != nil || string(seed) != seedText {
		t.Errorf("seed is %q (%v)", seed, err)
	}
	mark, err := readMarker(d, d.SizeBytes(), d.SectorBytes())
	if err != nil || mark.State != markerComplete || mark.Generation != generation || mark.Machine != "m-1" {
		t.Errorf("marker %+v, %v", mark, err)
	}
}

func TestDeploy(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		s := serveImage(t, sector, cloudInit())
		d := newDisk(t, 64*mib, sector)
		a := testAgent(t, s, d)
		o := deployOrder(t, s, 3)
		o.Deploy.Verify = true
		var rep inventory.Report
		if err := a.deploy(t.Context(), o, &rep); err != nil {
			t.Fatalf("sectors of %d: %v", sector, err)
		}
		checkWritten(t, s, d, 3)
		if rep.Disk != "/dev/vda (Test S1, 67.1 MB)" || rep.WireBytes == 0 {
			t.Errorf("report %+v", rep)
		}
		writes, fetched := d.writes.Load(), s.data.Load()
		if err := a.deploy(t.Context(), o, &rep); err != nil || d.writes.Load() != writes || s.data.Load() != fetched {
			t.Errorf("the same order again: %v; %d writes, %d fetches", err, d.writes.Load()-writes, s.data.Load()-fetched)
		}
		o.Generation = 4
		if err := a.deploy(t.Context(), o, &rep); err != nil {
			t.Fatal(err)
		}
		checkWritten(t, s, d, 4)
	}
}

func TestDeployToBlockDevice(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	path := loopDevice(t, 64*mib)
	a := testAgent(t, s, newDisk(t, 64*mib, 512))
	a.machine.open = func(string) (disk, error) { return master.OpenDevice(path) }
	o := deployOrder(t, s, 3)
	o.Deploy.Verify, o.Deploy.Overwrite = true, true
	var rep inventory.Report
	if err := a.deploy(t.Context(), o, &rep); err != nil {
		t.Fatal(err)
	}
	d, err := master.OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	checkWritten(t, s, d, 3)
	if err := a.deploy(t.Context(), o, &rep); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a disk in use: %v", err)
	}
}

// loopDevice makes a block device full of old data.
func loopDevice(t *testing.T, sizeBytes int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a loop device needs root")
	}
	backing := filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(backing, bytes.Repeat([]byte{0xEE}, sizeBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--show", "--find", backing).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	return device
}

// TestDeployCut: the power goes at every place where something is written; the disk then
// says "writing", and the same order finishes the work.
func TestDeployCut(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	whole := newDisk(t, 64*mib, 512)
	if err := testAgent(t, s, whole).deploy(t.Context(), deployOrder(t, s, 3), &inventory.Report{}); err != nil {
		t.Fatal(err)
	}
	for cut := int64(2); cut <= whole.writes.Load(); cut++ {
		d := newDisk(t, 64*mib, 512)
		ctx, cancel := context.WithCancel(t.Context())
		broken := d
		broken.failFrom = cut
		broken.onWrite = func(n int64) {
			if n == cut {
				cancel()
			}
		}
		if err := testAgent(t, s, broken).deploy(ctx, deployOrder(t, s, 3), &inventory.Report{}); err == nil {
			t.Fatalf("cut at write %d: no error", cut)
		}
		cancel()
		mark, err := readMarker(d, d.SizeBytes(), 512)
		if err != nil || mark.State != markerWriting {
			t.Errorf("cut at write %d: marker %+v, %v", cut, mark, err)
		}
		if err := testAgent(t, s, d).deploy(t.Context(), deployOrder(t, s, 3), &inventory.Report{}); err != nil {
			t.Fatalf("after the cut at write %d: %v", cut, err)
		}
		checkWritten(t, s, d, 3)
	}
}

// TestDeployGoesOn: what an earlier boot wrote is not fetched again, unless the disk lost
// it.
func TestDeployGoesOn(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	d := newDisk(t, 64*mib, 512)
	var first inventory.Report
	if err := testAgent(t, s, d).deploy(t.Context(), deployOrder(t, s, 3), &first); err != nil {
		t.Fatal(err)
	}
	chunks := s.manifest.Chunks
	cut := marker{Inventory: "here", Machine: "m-1", Generation: 3, Image: deployOrder(t, s, 3).Deploy.Image, State: markerWriting, Chunks: len(chunks)}
	lost := chunks[len(chunks)/2]
	if _, err := d.WriteAt(make([]byte, lost.Length), lost.Offset); err != nil {
		t.Fatal(err)
	}
	if err := writeMarker(d, cut); err != nil {
		t.Fatal(err)
	}
	var rep inventory.Report
	if err := testAgent(t, s, d).deploy(t.Context(), deployOrder(t, s, 3), &rep); err != nil {
		t.Fatal(err)
	}
	checkWritten(t, s, d, 3)
	// The partition table was fitted to the disk, so its chunks at both ends differ.
	want := s.layout.Frame(0).Length + s.layout.Frame(len(chunks)/2).Length + s.layout.Frame(len(chunks)-1).Length
	if rep.WireBytes != want {
		t.Errorf("%d bytes were fetched, want %d: the chunk that the disk lost and those with the partition table, of %d", rep.WireBytes, want, first.WireBytes)
	}
	cut.Image = "other@sha256:ab"
	if err := writeMarker(d, cut); err != nil {
		t.Fatal(err)
	}
	if err := testAgent(t, s, d).deploy(t.Context(), deployOrder(t, s, 3), &rep); err != nil || rep.WireBytes != first.WireBytes {
		t.Errorf("after another image: %d bytes were fetched, want all %d (%v)", rep.WireBytes, first.WireBytes, err)
	}
}

func TestWriteLog(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	d := newDisk(t, 64*mib, 512)
	mark := marker{Inventory: "here", Machine: "m-1", State: markerWriting}
	now := time.Unix(1e9, 0)
	w := newWriteLog(&job{manifest: s.manifest, disk: d}, mark, slog.New(slog.DiscardHandler))
	w.now, w.saved = func() time.Time { return now }, now
	for _, i := range []int{1, 2, 4} {
		w.wrote(i)
	}
	if _, err := readMarker(d, d.SizeBytes(), 512); !errors.Is(err, errNoMarker) {
		t.Errorf("noted too soon: %v", err)
	}
	now = now.Add(saveEvery)
	w.wrote(5)
	if got, err := readMarker(d, d.SizeBytes(), 512); err != nil || got.Chunks != 3 {
		t.Errorf("marker says %d chunks (%v), want 3: the fourth is missing", got.Chunks, err)
	}
}

func TestDeployFlippedBits(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	s.flips.Store(1)
	d := newDisk(t, 64*mib, 512)
	var rep inventory.Report
	if err := testAgent(t, s, d).deploy(t.Context(), deployOrder(t, s, 3), &rep); err != nil {
		t.Fatal(err)
	}
	checkWritten(t, s, d, 3)
	if rep.RefetchedChunks == 0 {
		t.Error("no chunk was fetched again")
	}
}

func TestDeployRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*agentapi.Order)
		want   string
	}{
		{"no disk fits", func(o *agentapi.Order) { o.Deploy.Disk.Serial = "other" }, "no disk fits"},
		{"digest is not the manifest's", func(o *agentapi.Order) { o.Deploy.Digest = "sha256:" + strings.Repeat("0", 64) }, "digest"},
		{"digest is none", func(o *agentapi.Order) { o.Deploy.Digest = "latest" }, `image digest "latest"`},
		{"manifest is not there", func(o *agentapi.Order) { o.Deploy.ManifestPath = "/nothing" }, "404"},
		{"seed is broken", func(o *agentapi.Order) { o.Deploy.Seed = []byte("junk") }, "unpack seed"},
		{"no particulars", func(o *agentapi.Order) { o.Deploy = nil }, "without its particulars"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveImage(t, 512, cloudInit())
			d := newDisk(t, 64*mib, 512)
			o := deployOrder(t, s, 3)
			c.change(&o)
			if text := contains(testAgent(t, s, d).deploy(t.Context(), o, &inventory.Report{}), c.want); text != "" {
				t.Error(text)
			}
			if d.writes.Load() != 0 {
				t.Error("it wrote")
			}
		})
	}
}

// TestDeployWithoutSeed: an image that nothing reads a seed of; the marker gets a
// partition of its own.
func TestDeployWithoutSeed(t *testing.T) {
	s := serveImage(t, 512, master.Traits{FirstBoot: master.FirstBootNone})
	d := newDisk(t, 64*mib, 512)
	o := deployOrder(t, s, 3)
	o.Deploy.Seed = nil
	if err := testAgent(t, s, d).deploy(t.Context(), o, &inventory.Report{}); err != nil {
		t.Fatal(err)
	}
	table, err := master.ReadTable(d, d.SizeBytes(), 512)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Find(markerName); err != nil {
		t.Error(err)
	}
	root, err := table.Find("root")
	if err != nil {
		t.Fatal(err)
	}
	if _, length := table.Offset(*root); length != 5*mib {
		t.Errorf("root has %d bytes: nothing was to grow", length)
	}
}

// TestDiskGone: an I/O error in the middle is reported with its reason, and may be tried
// again.
func TestDiskGone(t *testing.T) {
	s := serveImage(t, 512, cloudInit())
	d := newDisk(t, 64*mib, 512)
	d.failFrom = 4
	err := testAgent(t, s, d).deploy(t.Context(), deployOrder(t, s, 3), &inventory.Report{})
	f := failure(deployOrder(t, s, 3), err)
	if f.Permanent || f.Step != "write" || !strings.Contains(f.Reason, errGone.Error()) {
		t.Errorf("failure %+v", f)
	}
}

package agent

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/images/master"
)

func testMarker() marker {
	return marker{Inventory: "here", Machine: "m-1", Generation: 3, Image: "debian-12@sha256:ab", State: markerComplete, At: time.Unix(1e9, 0).UTC()}
}

func TestMarkerRoundTrip(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		d := newDisk(t, 64*mib, sector)
		if _, err := readMarker(d, d.SizeBytes(), sector); !errors.Is(err, errNoMarker) {
			t.Errorf("blank disk: %v", err)
		}
		want := testMarker()
		if err := writeMarker(d, want); err != nil {
			t.Fatal(err)
		}
		got, err := readMarker(d, d.SizeBytes(), sector)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("sectors of %d: %v (-want +got)\n%s", sector, err, diff)
		}
	}
}

func TestMarkerTooLarge(t *testing.T) {
	m := testMarker()
	m.Image = strings.Repeat("x", markerBytes)
	if err := writeMarker(newDisk(t, 64*mib, 512), m); err == nil {
		t.Error("no error")
	}
}

func TestMarkerOnTinyDisk(t *testing.T) {
	d := newDisk(t, 512<<10, 512)
	if _, err := readMarker(d, d.SizeBytes(), 512); !errors.Is(err, errNoMarker) {
		t.Errorf("got %v", err)
	}
}

// TestMarkerOffset: the marker's place follows from the disk alone, and is the end of the
// last partition that the deploy adds.
func TestMarkerOffset(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int64{16 * mib, 16*mib + 512, 8 << 30, 500107862016, 1 << 41, 4000787030016}
	for range 300 {
		sizes = append(sizes, 16*mib+rng.Int64N(1<<44))
	}
	for _, sector := range []int64{512, 4096} {
		for _, size := range sizes {
			size = size / sector * sector
			for _, seedBytes := range []int64{0, mib, 8 * mib} {
				table, err := master.NewTable(master.GUID{1}, size, int(sector))
				if err != nil {
					t.Fatal(err)
				}
				part, err := table.AddLast(markerType, master.GUID{2}, "last", seedBytes+markerPartitionBytes)
				if err != nil {
					t.Fatal(err)
				}
				offset, length := table.Offset(part)
				if want := markerOffset(size, int(sector)); offset+seedBytes != want || want+markerBytes > offset+length {
					t.Fatalf("disk of %d, sectors of %d, seed of %d: partition at %d, marker at %d", size, sector, seedBytes, offset, want)
				}
			}
		}
	}
}

func FuzzMarker(f *testing.F) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\n", markerMagic, `{"inventory":"here","machine":"m-1","generation":3,"state":"complete"}`)
	f.Add(b.Bytes())
	f.Add([]byte(markerMagic + "{}\n"))
	f.Add([]byte(markerMagic + `{"generation":"x"}`))
	f.Add(make([]byte, markerBytes))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMarker(data)
		if err != nil && !errors.Is(err, errNoMarker) {
			t.Errorf("error %v", err)
		}
		if err == nil && (m.Inventory == "" || m.Machine == "" || !bytes.HasPrefix(data, []byte(markerMagic))) {
			t.Errorf("marker %+v of %q", m, data)
		}
	})
}

package agent

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"ingot/inventory"
	"ingot/pxe/agentapi"
)

// wipeMachine is a machine with these disks.
func wipeMachine(a *Agent, disks map[string]testDisk, names ...string) {
	a.machine.disks = func(context.Context) ([]inventory.Disk, error) {
		var out []inventory.Disk
		for _, name := range names {
			d := inventory.Disk{Name: name, Removable: name == "usb", ReadOnly: name == "ro"}
			if disk, ok := disks[name]; ok {
				d.SizeBytes = disk.SizeBytes()
			}
			out = append(out, d)
		}
		return out, nil
	}
	a.machine.open = func(name string) (disk, error) {
		d, ok := disks[name]
		if !ok {
			return nil, os.ErrNotExist
		}
		return keptOpen{d}, nil
	}
}

func wipeOrder(all bool) agentapi.Order {
	return agentapi.Order{Kind: agentapi.OrderWipe, Generation: 3, Inventory: "here", Wipe: &agentapi.Wipe{Machine: "m-1", All: all}}
}

// dirty is a disk that begins and ends with data.
func dirty(t *testing.T, mark *marker) testDisk {
	t.Helper()
	d := newDisk(t, 32*mib, 512)
	for _, off := range []int64{0, 32*mib - 512} {
		if _, err := d.WriteAt([]byte("data"), off); err != nil {
			t.Fatal(err)
		}
	}
	if mark != nil {
		if err := writeMarker(d, *mark); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func isBlank(t *testing.T, d testDisk) bool {
	t.Helper()
	buf := make([]byte, d.SizeBytes())
	if _, err := d.ReadAt(buf, 0); err != nil {
		t.Fatal(err)
	}
	return strings.Trim(string(buf), "\x00") == ""
}

func TestWipe(t *testing.T) {
	ours, theirs := testMarker(), testMarker()
	theirs.Inventory = "elsewhere"
	for _, c := range []struct {
		name string
		all  bool
		want string
	}{
		{"ours alone", false, "/dev/ours"},
		{"all", true, "/dev/ours, /dev/theirs, /dev/foreign"},
	} {
		t.Run(c.name, func(t *testing.T) {
			disks := map[string]testDisk{"ours": dirty(t, &ours), "theirs": dirty(t, &theirs), "foreign": dirty(t, nil), "usb": dirty(t, &ours), "ro": dirty(t, &ours)}
			a := testAgent(t, nil, disks["ours"])
			wipeMachine(a, disks, "ours", "theirs", "foreign", "usb", "ro", "empty")
			var rep inventory.Report
			if err := a.wipe(t.Context(), wipeOrder(c.all), &rep); err != nil {
				t.Fatal(err)
			}
			if rep.Disk != c.want {
				t.Errorf("wiped %q, want %q", rep.Disk, c.want)
			}
			for name, d := range disks {
				if blank, want := isBlank(t, d), strings.Contains(c.want, name); blank != want {
					t.Errorf("%s is blank: %v, want %v", name, blank, want)
				}
			}
		})
	}
}

func TestWipeFails(t *testing.T) {
	mark, newer := testMarker(), testMarker()
	newer.Generation = 4
	gone := dirty(t, &mark)
	gone.writes.Store(0)
	gone.failFrom = 1
	for _, c := range []struct {
		name, want string
		disks      map[string]testDisk
		order      agentapi.Order
	}{
		{"the disk fails", "wipe /dev/a: input/output error", map[string]testDisk{"a": gone}, wipeOrder(false)},
		{"the disk can't be opened", "wipe /dev/b", map[string]testDisk{"a": dirty(t, &mark)}, wipeOrder(false)},
		{"written by a newer order", "this disk was written by generation 4", map[string]testDisk{"a": dirty(t, &newer)}, wipeOrder(true)},
		{"no particulars", "without its particulars", nil, agentapi.Order{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := testAgent(t, nil, gone)
			wipeMachine(a, c.disks, "a")
			if strings.Contains(c.want, "/dev/b") {
				wipeMachine(a, c.disks, "a", "b")
				a.machine.disks = func(context.Context) ([]inventory.Disk, error) {
					return []inventory.Disk{{Name: "b", SizeBytes: mib}}, nil
				}
			}
			if text := contains(a.wipe(t.Context(), c.order, &inventory.Report{}), c.want); text != "" {
				t.Error(text)
			}
		})
	}
}

// unreadable fails where the marker is.
type unreadable struct{ testDisk }

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errGone }

// TestWipeUnreadable: whether a disk is ours is not known when it can't be read, so it is
// not passed over.
func TestWipeUnreadable(t *testing.T) {
	a := testAgent(t, nil, unreadable{newDisk(t, 32*mib, 512)})
	if err := a.wipe(t.Context(), wipeOrder(false), &inventory.Report{}); !errors.Is(err, errGone) {
		t.Errorf("got %v", err)
	}
}

func TestWipeEnds(t *testing.T) {
	mark := testMarker()
	d := dirty(t, &mark)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := testAgent(t, nil, d)
	if err := a.wipe(ctx, wipeOrder(false), &inventory.Report{}); !errors.Is(err, context.Canceled) || isBlank(t, d) {
		t.Errorf("got %v", err)
	}
}

package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"ingot/inventory/journal"
)

// TestKernelLog: each message stands in the log once, whichever way it came.
func TestKernelLog(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	j, err := journal.Open(t.TempDir(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	k := newKernelLog(j, func() time.Time { return now })
	hold := func(text string) {
		t.Helper()
		if err := k.hold("m-1", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	log := func() string {
		t.Helper()
		var out strings.Builder
		if err := j.Read(context.Background(), "m-1", false, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	hold("[   12.345678] usb 1-1: new device\n")
	hold("[   12.345679][    T1] sd 0:0:0:0: [sda] attached\n")
	hold("[   13.000000] last words\n")
	if err := k.Append("m-1", []byte("kernel: usb 1-1: new device\nagent up\nkernel: sd 0:0:0:0: [sda] attached\n")); err != nil {
		t.Fatal(err)
	}
	if err := k.releaseAll(heldTime); err != nil {
		t.Fatal(err)
	}
	if got := log(); strings.Contains(got, "netconsole") {
		t.Errorf("written too early:\n%s", got)
	}
	now = now.Add(heldTime)
	if err := k.releaseAll(heldTime); err != nil {
		t.Fatal(err)
	}
	got := log()
	for text, want := range map[string]int{"usb 1-1": 1, "[sda] attached": 1, "netconsole: [   13.000000] last words": 1} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is %d times in the log, want %d:\n%s", text, n, want, got)
		}
	}
	for range heldMax + 3 {
		hold("flood\n")
	}
	if n := strings.Count(log(), "flood"); n < 3 || len(k.held["m-1"]) > heldMax {
		t.Errorf("%d written and %d held of a flood", n, len(k.held["m-1"]))
	}
}

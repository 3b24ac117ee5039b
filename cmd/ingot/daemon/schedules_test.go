package daemon

import (
	"fmt"
	"testing"
	"time"

	"ingot/inventory/journal"
)

// TestPruneLogs: a schedule keeps its newest logs, and none of another one's go.
func TestPruneLogs(t *testing.T) {
	j, err := journal.Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	write := func(name string) {
		t.Helper()
		if err := j.Append(name, []byte("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	write("nightly-web-2-20200101-020000")
	for day := range 20 {
		name := fmt.Sprintf("nightly-web-202611%02d-020000", day+1)
		if err := pruneLogs(j, name); err != nil {
			t.Fatal(err)
		}
		write(name)
	}
	names, err := j.Names("nightly-web-")
	if err != nil || len(names) != keptLogs+1 || names[0] != "nightly-web-2-20200101-020000" || names[1] != "nightly-web-20261107-020000" {
		t.Errorf("%v, %v", names, err)
	}
}

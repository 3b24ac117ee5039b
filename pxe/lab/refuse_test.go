package lab

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ingot/hypervisor/qemu"
)

// TestUpRefuses: what QEMU would refuse is an error of Up, and nothing is left of it.
func TestUpRefuses(t *testing.T) {
	needRack(t)
	for name, c := range map[string]struct {
		machine Machine
		want    string
	}{
		"firmware": {Machine{Firmware: "abacus"}, `firmware "abacus"`},
		"bus":      {Machine{Disks: []Disk{{Bus: "punchcard"}}}, `bus "punchcard"`},
		"model":    {Machine{NICs: []NIC{{Network: "boot", Model: "ne2000"}}}, `model "ne2000"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.machine.Name = "m"
			spec := Spec{Name: "r" + strconv.Itoa(os.Getpid()) + name, Accelerator: qemu.AcceleratorTCG, Networks: []Network{bootNetwork()}, Machines: []Machine{c.machine}}
			dir := filepath.Join(t.TempDir(), "rack")
			_, err := Up(t.Context(), dir, spec)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Up: %v, want %s", err, c.want)
			}
			if err := Down(context.Background(), dir, false); err != nil {
				t.Error(err)
			}
			checkNothingLeft(t, &Lab{dir: dir, spec: spec})
		})
	}
}

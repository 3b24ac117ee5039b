package sim

import (
	"testing"

	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/powershell"
)

// script is one of the driver's.
func script(t *testing.T, name string) powershell.Script {
	t.Helper()
	for _, s := range hyperv.Scripts() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no script %s", name)
	return powershell.Script{}
}

package hyperv_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
)

// changing are the commands of a script that change something.
var changing = regexp.MustCompile(`(?m)(?:\b(?:Add|Checkpoint|Enable|Invoke|Move|New|Remove|Resize|Restore|Resume|Set|Start|Stop)-[A-Z][A-Za-z]+|\bfsutil\.exe|\[System\.IO\.File\]::[A-Z][a-z]+)`)

// notDone are those that the model has no use for, or that other tests do.
var notDone = map[string]string{
	"create Add-VMScsiController": "New-VM makes a controller", "create New-Object": "", "create Stop-Ingot": "", "finishimage Stop-Ingot": "", "growdisk Stop-Ingot": "",
	"restore Stop-Ingot": "", "setsize Stop-Ingot": "", "setnotes Stop-Ingot": "", "removeimage New-Object": "", "pull New-Object": "", "pull Add-Type": "",
	"host Enable-VMTPM": "it only asks whether there is one", "create Remove-Item": "a second attempt", "delete Stop-VM": "it was off", "finishimage Remove-Item": "TestFetchRefused", "finishimage fsutil.exe": "TestSparseImage",
	"pull Remove-Item": "a part that is too long", "power Resume-VM": "TestStates", "power Invoke-CimMethod": "TestShutDown", "power Remove-VMSavedState": "TestStates",
	"restore Stop-VM": "TestRevertLeavesOff", "restore Remove-VMSavedState": "TestRevertLeavesOff",
}

// modelled compares what the model did with what the scripts have: each changing command
// is one, and each was done.
func modelled(t *testing.T, h *sim.Host) {
	t.Helper()
	done := map[string]bool{}
	for _, c := range h.Cmdlets() {
		done[c] = true
	}
	for _, s := range hyperv.Scripts() {
		text, err := os.ReadFile(filepath.Join("scripts", s.Name+".ps1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, cmdlet := range changing.FindAllString(string(text), -1) {
			if _, left := notDone[s.Name+" "+cmdlet]; !left && !done[s.Name+" "+cmdlet] {
				t.Errorf("script %s: the model does not do %s", s.Name, cmdlet)
			}
		}
	}
}

// Each script that changes something takes its lock before it does; one that only looks
// takes none.
func TestLockFirst(t *testing.T) {
	for _, s := range hyperv.Scripts() {
		text, err := os.ReadFile(filepath.Join("scripts", s.Name+".ps1"))
		if err != nil {
			t.Fatal(err)
		}
		lock, first := bytes.Index(text, []byte("$lock = Lock-Ingot -Path $Request.Lock\n")), changing.FindIndex(text)
		if looks := s.Name == "host" || first == nil; looks != (lock < 0) || !looks && first[0] < lock {
			t.Errorf("script %s: lock at %d, first change at %v", s.Name, lock, first)
		}
	}
}

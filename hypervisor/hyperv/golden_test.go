package hyperv_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

var update = flag.Bool("update", false, "write the golden requests anew; read the difference")

// What differs from run to run: the VHDX's own GUIDs in images and seeds, and the port.
var drawn = []struct {
	form *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`"Gzip": "[^"]{20,}"`), `"Gzip": "..."`},
	{regexp.MustCompile(`("(?:Certificate)?Sha256"): "[0-9A-Fa-f]{64}"`), `$1: "..."`},
	{regexp.MustCompile(`\.[0-9a-f]{16}\.part`), ".x.part"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "127.0.0.1:N"},
}

// The requests, as they go to the scripts: what Windows makes of them can't be tried here,
// so a person looks at each change of them.
func TestGoldenRequests(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "golden")
	golden(t, h, "host")
	golden(t, h, "place")
	golden(t, h, "pull")
	golden(t, h, "finishimage")
	secure := spec("m-secure", `it's "web" & <db>`)
	secure.SecureBoot, secure.TPM, secure.Seed = true, true, []byte("seed")
	secure.CPUs, secure.MemoryBytes = 2, 512<<20
	secure.Disks = []hypervisor.DiskSpec{{SizeBytes: imageBytes + 1<<20}, {SizeBytes: 8 << 20}}
	secure.NICs = []hypervisor.NICSpec{{MAC: "52:54:00:0a:0b:0c", VLAN: 42}, {MAC: "52:54:00:0a:0b:0d"}}
	vm := create(t, d, secure)
	golden(t, h, "create")
	golden(t, h, "list")
	plan(t, d, secure, "plan")
	bios := spec("m-bios", "bios")
	bios.Firmware, bios.Image, bios.Disks[0].SizeBytes = inventory.FirmwareBIOS, "", 8<<20
	create(t, d, bios)
	goldenAs(t, h, "create", "createbios")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful))
	golden(t, h, "power")
	do(d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Force))
	do(d.GrowDisk(t.Context(), vm.ID, 1, 16<<20))
	golden(t, h, "growdisk")
	do(d.SetSize(t.Context(), vm.ID, 4, 1<<30))
	golden(t, h, "setsize")
	do(d.CreateSnapshot(t.Context(), vm.ID, `after "it"`))
	golden(t, h, "checkpoint")
	golden(t, h, "checkpoints")
	do(d.RevertSnapshot(t.Context(), vm.ID, `after "it"`))
	golden(t, h, "restore")
	do(d.DeleteSnapshot(t.Context(), vm.ID, `after "it"`))
	golden(t, h, "removecheckpoint")
	_, err := d.Adopt(t.Context(), h.AddMachine("billing", "Ann's", 2), "m-adopted")
	do(err)
	golden(t, h, "setnotes")
	do(d.Delete(t.Context(), vm.ID))
	golden(t, h, "delete")
	do(d.Delete(t.Context(), bios.ID))
	do(d.RemoveImage(t.Context(), theDigest()))
	golden(t, h, "removeimage")
	plan(t, d, bios, "planempty")
	toCome := spec("m-come", "come")
	toCome.ImageBytes = imageBytes
	plan(t, d, toCome, "plantocome")
	modelled(t, h)
}

func golden(t *testing.T, h *sim.Host, script string) {
	t.Helper()
	goldenAs(t, h, script, script)
}

// goldenAs compares the last request of a script with the one in testdata.
func goldenAs(t *testing.T, h *sim.Host, script, name string) {
	t.Helper()
	got := ""
	for _, c := range h.Calls() {
		if c.Script == script {
			got = c.Request
		}
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(got), "", "  "); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	same(t, name+".json", pretty.String()+"\n")
}

// plan compares a plan, steps and request.
func plan(t *testing.T, d *hyperv.Driver, s hypervisor.Spec, name string) {
	t.Helper()
	p, err := d.Plan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	text := "clone: " + string(p.Clone) + "\nwhy: " + p.Why + "\n"
	for _, step := range p.Steps {
		text += "- " + step + "\n"
	}
	same(t, name+".txt", text+p.Request+"\n")
}

func same(t *testing.T, file, got string) {
	t.Helper()
	for _, d := range drawn {
		got = d.form.ReplaceAllString(got, d.to)
	}
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

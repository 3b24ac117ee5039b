package vsphere_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere/sim"
)

// The commands of govc are packages of the govmomi module; its main program is a module of
// its own that not every proxy has. So a main with the commands needed is built, outside
// this module, whose go.mod it would make longer.
const govcMain = `package main

import (
	"os"

	"github.com/vmware/govmomi/cli"
	_ "github.com/vmware/govmomi/cli/object"
	_ "github.com/vmware/govmomi/cli/vm"
)

func main() { os.Exit(cli.Run(os.Args[1:])) }
`

const govcModule = "module govc\n\ngo 1.25.0\n\nrequire github.com/vmware/govmomi v0.56.0\n"

// govc builds the program.
func govc(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds govc")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": govcMain, "go.mod": govcModule} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", "govc", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("govc can't be built: %v: %s", err, out)
	}
	return filepath.Join(dir, "govc")
}

// What we make is what VMware's own command line sees, and what that changes we see.
func TestGovc(t *testing.T) {
	program := govc(t)
	s := start(t, sim.Options{})
	d := ready(t, s, "govc")
	spec := machine("m-1", "web 1")
	spec.CPUs, spec.MemoryBytes = 2, 128<<20
	vm, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), program, args...)
		c.Env = append(os.Environ(), "GOVC_URL=https://"+s.Host()+"/sdk", "GOVC_USERNAME=ingot@vsphere.local", "GOVC_PASSWORD="+password,
			"GOVC_INSECURE=1", "GOVC_DATACENTER=DC0", "GOVC_PERSIST_SESSION=false", "HOME="+t.TempDir())
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("govc %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	machines := strings.Fields(run("find", "/DC0/vm/ingot", "-type", "m"))
	i := slices.IndexFunc(machines, func(path string) bool { return strings.HasPrefix(path, "/DC0/vm/ingot/web-1-") })
	if len(machines) != 2 || i < 0 {
		t.Fatalf("govc finds %q", machines)
	}
	var info struct {
		VirtualMachines []struct {
			Config struct {
				InstanceUUID string `json:"instanceUuid"`
				Hardware     struct {
					NumCPU, MemoryMB int
				}
				ExtraConfig []struct {
					Key   string
					Value any
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(run("vm.info", "-json", "-e", machines[i])), &info); err != nil {
		t.Fatal(err)
	}
	if len(info.VirtualMachines) != 1 {
		t.Fatalf("govc tells of %d machines", len(info.VirtualMachines))
	}
	c := info.VirtualMachines[0].Config
	if c.InstanceUUID != vm.UUID || c.Hardware.NumCPU != 2 || c.Hardware.MemoryMB != 128 {
		t.Errorf("govc tells %+v", c)
	}
	marks := map[string]any{}
	for _, o := range c.ExtraConfig {
		marks[o.Key] = o.Value
	}
	if marks["ingot.id"] != "m-1" || marks["ingot.name"] != "web 1" || marks["ingot.owner"] != "govc" {
		t.Errorf("govc tells the marks %v", marks)
	}
	run("vm.power", "-on", machines[i])
	if got, err := d.Get(t.Context(), "m-1"); err != nil || got.Power != hypervisor.On {
		t.Errorf("after govc's power on it is %q, %v", got.Power, err)
	}
	run("vm.destroy", machines[i])
	if err := d.Delete(t.Context(), "m-1"); err != nil {
		t.Errorf("delete what govc destroyed: %v", err)
	}
	for _, name := range left(t, s) {
		if strings.Contains(name, "web-1") || strings.Contains(name, "seed") {
			t.Errorf("left: %s", name)
		}
	}
}

// Package test holds what is checked about the project as a whole: which package may
// import which, and where each heavy module may appear.
package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "ingot"

// foundation is what folders outside inventory may import of it.
const foundation = "inventory inventory/job inventory/query inventory/seed inventory/journal inventory/secret "

// row allows a package (or, with "/...", a tree) to import some of ours. The longest
// package that fits decides.
type row struct {
	pkg, may string
	// why explains an arrow that the map of the design does not have.
	why string
}

// packages is the package map. Every package has a row here, and every row a package.
var packages = []row{
	{"cmd/ingot", "cmd/ingot/cli", ""},
	{"cmd/ingot/cli", "inventory inventory/api cmd/ingot/daemon pxe/lab hypervisor/qemu",
		"hypervisor/qemu: ingot lab up takes firmware, bus and NIC model by that package's types"},
	{"cmd/ingot/daemon", "inventory/... images/... hypervisor/... pxe/...", ""},
	{"cmd/ingot-agent", "pxe/agent", ""},
	{"inventory", "", ""},
	{"inventory/lifecycle", foundation, ""},
	{"inventory/seed", "inventory", ""},
	{"inventory/query", "inventory", ""},
	{"inventory/webhook", "inventory", ""},
	{"inventory/rollout", "inventory inventory/query inventory/lifecycle", "lifecycle: a rollout's orders are its orders"},
	{"inventory/guest", "inventory inventory/seed inventory/secret", "secret: the phone-home's token is a signed statement"},
	{"inventory/why", "inventory", ""},
	{"inventory/journal", "inventory", ""},
	{"inventory/secret", "inventory", ""},
	{"inventory/auth", "inventory inventory/secret", ""},
	{"inventory/sqlstore", "inventory inventory/job inventory/query", ""},
	{"inventory/storetest", "inventory", ""},
	{"inventory/api", "inventory inventory/query", ""},
	{"inventory/api/rest", foundation + "inventory/api inventory/auth inventory/lifecycle inventory/rollout inventory/rack inventory/why", ""},
	{"images", foundation + "images/master", ""},
	{"images/bucket", "inventory images images/master", ""},
	{"images/bucket/buckettest", "", ""},
	{"images/master", "", ""},
	{"images/sign", "inventory", ""},
	{"images/contents", "inventory images/master", ""},
	{"images/contents/contentstest", "images/master", ""},
	{"images/lint", "inventory images/contents", ""},
	{"images/sbom", "images/contents", ""},
	{"images/nightly", "inventory", ""},
	{"images/guestrun", foundation + "hypervisor/qemu images/master", ""},
	{"images/boottest", foundation + "hypervisor/qemu images/master images/guestrun", ""},
	{"images/recipes", "", ""},
	{"images/publish", "inventory images images/... hypervisor/qemu", "it joins the others; hypervisor/qemu: firmware of an installer"},
	{"images/build", foundation + "images/master images images/recipes hypervisor/qemu", ""},
	{"hypervisor", "inventory", ""},
	{"hypervisor/drivertest", "inventory hypervisor", ""},
	{"hypervisor/fleet", foundation + "hypervisor", ""},
	{"hypervisor/libvirt/...", "inventory hypervisor hypervisor/libvirt/...", ""},
	{"hypervisor/vsphere/...", "inventory hypervisor hypervisor/vsphere/...", ""},
	{"hypervisor/hyperv/...", "inventory hypervisor hypervisor/hyperv/...", ""},
	{"hypervisor/qemu", "", ""},
	{"pxe", "inventory pxe/dhcp pxe/tftp pxe/httpboot pxe/netboot pxe/bootfiles pxe/agentapi", ""},
	{"pxe/dhcp", "inventory", ""},
	{"pxe/tftp", "inventory", ""},
	{"pxe/httpboot", "inventory", ""},
	{"pxe/netboot", "inventory", ""},
	{"pxe/bootfiles", "", ""},
	{"pxe/bootsets", "inventory pxe/bootfiles", ""},
	{"pxe/trial", "inventory hypervisor/qemu pxe/lab images/guestrun", "images/guestrun: how the text of a console is read"},
	{"pxe/agentapi", "inventory", ""},
	{"pxe/agent/...", "inventory images/master images/sign pxe/agentapi pxe/agent/...", "images/sign: the agent checks signatures"},
	{"pxe/metal", foundation + "pxe/agentapi pxe/bmc", ""},
	{"pxe/lab", "hypervisor/qemu pxe/bmc/sim", ""},
	{"test/...", "inventory/... images/... hypervisor/... pxe/... cmd/ingot/daemon test/...", ""},
}

// planned rows hold as soon as there is such a package.
var planned = []row{
	{"inventory/rack", "inventory inventory/query", ""},
	{"inventory/job", "inventory", ""},
	{"inventory/sqlstore/river", "inventory inventory/job inventory/sqlstore", ""},
	{"inventory/web", "inventory inventory/api inventory/rack", ""},
	{"pxe/bmc", "inventory", ""},
	{"pxe/bmc/...", "inventory pxe/bmc", ""},
	{"pxe/bmc/sim", "inventory", ""},
	{"scripts/...", "inventory/... images/... hypervisor/... pxe/... cmd/ingot/daemon", ""},
}

// pin keeps a heavy module (or a tree of its packages) in the packages named.
type pin struct{ module, in string }

var pins = []pin{
	{"modernc.org/sqlite", "inventory/sqlstore"},
	{"github.com/jackc/pgx/v5", "inventory/sqlstore"},
	{"github.com/pressly/goose/v3", "inventory/sqlstore"},
	{"github.com/danielgtaylor/huma/v2", "inventory/api/rest"},
	{"github.com/diskfs/go-diskfs", "inventory/seed images/contents"},
	{"github.com/insomniacslk/dhcp", "pxe/dhcp pxe/agent/..."},
	{"github.com/pin/tftp/v3", "pxe/tftp"},
	{"github.com/spf13/cobra", "cmd/ingot/cli"},
	{"github.com/spf13/viper", "cmd/ingot/daemon"},
	{"github.com/prometheus/client_golang", "cmd/ingot/daemon"},
	{"github.com/vmware/govmomi", "hypervisor/vsphere/..."},
	{"github.com/digitalocean/go-libvirt", "hypervisor/libvirt/..."},
	{"libvirt.org/go/libvirtxml", "hypervisor/libvirt/..."},
	{"github.com/bodgit/ntlmssp", "hypervisor/hyperv/powershell"},
	{"github.com/CycloneDX/cyclonedx-go", "images/sbom"},
	{"github.com/robfig/cron/v3", "images/nightly"},
	{"aead.dev/minisign", "images/sign"},
	{"github.com/minio/minio-go/v7", "images/bucket"},
	{"golang.org/x/crypto", "hypervisor/hyperv/winrmsim images/boottest"},
	{"github.com/google/go-cmp", "inventory/storetest hypervisor/drivertest"},
}

// plannedPins hold as soon as such a module is used.
var plannedPins = []pin{
	{"github.com/masterzen/winrm", "hypervisor/hyperv/..."},
	{"github.com/stmcginnis/gofish", "pxe/bmc/..."},
	{"github.com/bougou/go-ipmi", "pxe/bmc/..."},
	{"github.com/riverqueue/river", "inventory/sqlstore/river"},
	{"github.com/kdomanski/iso9660", "inventory/seed pxe/bootfiles"},
	{"github.com/mdlayher/lldp", "pxe/agent/..."},
	{"github.com/u-root/u-root", "pxe/agent/... pxe/bootfiles"},
	{"github.com/jaypipes/ghw", "pxe/agent/..."},
}

// goPackage is what go list tells of a package; imports of its tests don't count.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func goList(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		list = append(list, p)
	}
}

// ours is a path within the module, "" for other modules' packages.
func ours(path string) string {
	rest, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return rest
}

// fits reports whether pattern ("a/b" or "a/b/...") covers path.
func fits(pattern, path string) bool {
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return path == tree || isTree && strings.HasPrefix(path, tree+"/")
}

func anyFits(patterns, path string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return fits(p, path) })
}

// ruling finds the row with the longest package that fits.
func ruling(path string) (best row, ok bool) {
	for _, r := range slices.Concat(packages, planned) {
		if fits(r.pkg, path) && (!ok || len(r.pkg) > len(best.pkg)) {
			best, ok = r, true
		}
	}
	return best, ok
}

func TestPackageMap(t *testing.T) {
	list := goList(t)
	for _, p := range list {
		name := ours(p.ImportPath)
		r, ok := ruling(name)
		if !ok {
			t.Errorf("package %s has no row in the package map: give it one in %s", name, "test/imports_test.go")
			continue
		}
		for _, imported := range p.Imports {
			if to := ours(imported); to != "" && !anyFits(r.may, to) {
				t.Errorf("%s imports %s; it may import: %s", name, to, r.may)
			}
		}
	}
	for _, r := range packages {
		if !slices.ContainsFunc(list, func(p goPackage) bool { return fits(r.pkg, ours(p.ImportPath)) }) {
			t.Errorf("the package map has a row for %s, which does not exist: drop or mend the row", r.pkg)
		}
	}
}

// TestInventoryIsStandardLibraryOnly: the domain knows no adapter's library.
func TestInventoryIsStandardLibraryOnly(t *testing.T) {
	for _, p := range goList(t) {
		for _, imported := range p.Imports {
			if first, _, _ := strings.Cut(imported, "/"); ours(p.ImportPath) == "inventory" && strings.Contains(first, ".") {
				t.Errorf("inventory imports %s", imported)
			}
		}
	}
}

func TestPinnedModules(t *testing.T) {
	used := map[string]bool{}
	for _, p := range goList(t) {
		for _, imported := range p.Imports {
			for _, pin := range slices.Concat(pins, plannedPins) {
				if !fits(pin.module+"/...", imported) {
					continue
				}
				used[pin.module] = true
				if name := ours(p.ImportPath); !anyFits(pin.in, name) {
					t.Errorf("%s imports %s; only %s may", name, imported, pin.in)
				}
			}
		}
	}
	for _, pin := range pins {
		if !used[pin.module] {
			t.Errorf("module %s is pinned to %s and nobody imports it: drop or mend the pin", pin.module, pin.in)
		}
	}
}

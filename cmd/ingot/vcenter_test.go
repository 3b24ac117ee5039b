package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor/vsphere/sim"
)

// vcenterUser and vcenterPassword log in at the scripts' vCenters.
const (
	vcenterUser     = "ingot@vsphere.local"
	vcenterPassword = "hunter2 & co"
)

// vcenters are those of one script, by name.
type vcenters map[string]*vcenter

// vcenter is a simulated one behind a relay, so that it can go away and come back under
// its address.
type vcenter struct {
	*sim.Server
	relay   *relay
	release func()
}

// vcenterCommand: vcenter VERB NAME [ARGUMENT...].
//
//	start NAME          starts one; sets NAME_URL, NAME_THUMBPRINT and NAME_PASSWORD
//	down, up NAME       nobody answers at its address; it is back
//	hold NAME METHOD    tasks of the method are held back until release
//	await NAME METHOD N waits until the method was called N times
//	release NAME        lets the held tasks go on
//	deny NAME PRIVILEGE takes a privilege away from the login
//	phonehome NAME VM   posts to the address that is in the VM's seed, as cloud-init does
//	address NAME VM IP  has the VM's guest tools tell an address
//	tools NAME VM       starts the VM's guest tools
//	count NAME VM N     fails unless N machines are of the VM's name
//	cpus NAME VM N      changes the VM behind Ingot's back
func vcenterCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: vcenter VERB NAME [ARGUMENT...]")
	}
	verb, name, rest := args[0], args[1], args[2:]
	all := ts.Value(vcentersKey{}).(vcenters)
	if verb == "start" {
		all[name] = startVCenter(ts, name)
		return
	}
	v := all[name]
	if v == nil {
		ts.Fatalf("there is no vCenter %q", name)
	}
	do, ok := vcenterVerbs[verb]
	if !ok {
		ts.Fatalf("vcenter %q: no such verb", verb)
	}
	do(ts, v, rest)
}

type vcentersKey struct{}

var vcenterVerbs = map[string]func(*testscript.TestScript, *vcenter, []string){
	"down":      func(ts *testscript.TestScript, v *vcenter, _ []string) { v.relay.close() },
	"up":        func(ts *testscript.TestScript, v *vcenter, _ []string) { ts.Check(v.relay.open()) },
	"hold":      func(_ *testscript.TestScript, v *vcenter, args []string) { v.release = v.Hold(args[0]) },
	"release":   func(_ *testscript.TestScript, v *vcenter, _ []string) { v.release() },
	"await":     awaitCalls,
	"deny":      func(_ *testscript.TestScript, v *vcenter, args []string) { v.Deny(args...) },
	"phonehome": phoneHome,
	"address": func(ts *testscript.TestScript, v *vcenter, args []string) {
		ts.Check(v.SetAddresses(v.machine(ts, args[0]).Config.InstanceUuid, args[1:]...))
	},
	"tools": func(ts *testscript.TestScript, v *vcenter, args []string) {
		v.SetTools(v.machine(ts, args[0]).Config.InstanceUuid, true)
	},
	"count": func(ts *testscript.TestScript, v *vcenter, args []string) {
		if n := len(v.machines(args[0])); fmt.Sprint(n) != args[1] {
			ts.Fatalf("%d machines are named %s, want %s", n, args[0], args[1])
		}
	},
	"cpus": func(ts *testscript.TestScript, v *vcenter, args []string) {
		var n int32
		_, err := fmt.Sscan(args[1], &n)
		ts.Check(err)
		ts.Check(v.SetCPUs(v.machine(ts, args[0]).Config.InstanceUuid, n))
	},
}

func startVCenter(ts *testscript.TestScript, name string) *vcenter {
	log.SetOutput(io.Discard) // vcsim logs what it refuses
	s, err := sim.Start(sim.Options{Machines: 1, User: vcenterUser, Password: vcenterPassword})
	ts.Check(err)
	ts.Defer(s.Close)
	v := &vcenter{Server: s, relay: &relay{to: s.Host()}, release: func() {}}
	ts.Check(v.relay.open())
	ts.Defer(v.relay.close)
	ts.Defer(func() { v.release() })
	ts.Setenv(name+"_URL", "vsphere://"+url.PathEscape(vcenterUser)+"@"+v.relay.addr+"/DC0/DC0_C0")
	ts.Setenv(name+"_THUMBPRINT", s.Thumbprint())
	ts.Setenv(name+"_PASSWORD", vcenterPassword)
	return v
}

// machines are those that Ingot made under a name.
func (v *vcenter) machines(name string) (found []*simulator.VirtualMachine) {
	for _, vm := range v.VMs() {
		if slices.ContainsFunc(vm.Config.ExtraConfig, func(o types.BaseOptionValue) bool {
			return o.GetOptionValue().Key == "ingot.name" && o.GetOptionValue().Value == name
		}) {
			found = append(found, vm)
		}
	}
	return found
}

func (v *vcenter) machine(ts *testscript.TestScript, name string) *simulator.VirtualMachine {
	found := v.machines(name)
	if len(found) != 1 {
		ts.Fatalf("%d machines are named %s, want one", len(found), name)
	}
	return found[0]
}

func awaitCalls(ts *testscript.TestScript, v *vcenter, args []string) {
	called := func() string {
		n := 0
		for _, c := range v.Calls() {
			if c.Method == args[0] {
				n++
			}
		}
		return fmt.Sprint(n)
	}
	if !until(func() bool { return called() == args[1] }) {
		ts.Fatalf("%s was called %s times, want %s", args[0], called(), args[1])
	}
}

var seedURL = regexp.MustCompile(`url: (http\S+)`)

// phoneHome is cloud-init in the guest, which does not run: it finds the seed by its
// hostname, and posts what cloud-init posts.
func phoneHome(ts *testscript.TestScript, v *vcenter, args []string) {
	seeds, err := filepath.Glob(filepath.Join(v.Dir(""), "seed-*", "seed-flat.vmdk"))
	ts.Check(err)
	for _, seed := range seeds {
		meta := readSeed(ts, seed, "/meta-data")
		if !strings.Contains(meta, "local-hostname: "+args[0]+"\n") {
			continue
		}
		postHome(ts, seed, args[0], meta, readSeed(ts, seed, "/vendor-data"))
		return
	}
	ts.Fatalf("no seed of %s among %d", args[0], len(seeds))
}

// postHome posts what cloud-init posts, to the address that is in the seed's documents.
func postHome(ts *testscript.TestScript, seed, name, meta, vendor string) {
	id := strings.Fields(strings.TrimPrefix(meta, "instance-id:"))[0]
	where := seedURL.FindStringSubmatch(vendor)
	if where == nil {
		ts.Fatalf("no phone-home address in %s", seed)
	}
	resp, err := http.PostForm(where[1], url.Values{"instance_id": {id}, "hostname": {name}, "pub_key_ed25519": {"ssh-ed25519 AAAA host"}})
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode != http.StatusNoContent {
		ts.Fatalf("phone-home: %s", resp.Status)
	}
}

// readSeed reads a document of a seed disk.
func readSeed(ts *testscript.TestScript, disk, name string) string {
	storage, err := file.OpenFromPath(disk, true)
	ts.Check(err)
	defer storage.Close()
	info, err := storage.Stat()
	ts.Check(err)
	fsys, err := fat12.Read(storage, info.Size(), 0, 512)
	ts.Check(err)
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	ts.Check(err)
	defer f.Close()
	text, err := io.ReadAll(f)
	ts.Check(err)
	return string(text)
}

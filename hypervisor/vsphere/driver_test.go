package vsphere_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/soap"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere"
	"ingot/hypervisor/vsphere/sim"
	"ingot/inventory"
)

// ready is a driver with the image at its server.
func ready(t *testing.T, s *sim.Server, owner string) *vsphere.Driver {
	t.Helper()
	d := open(t, s, owner)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatalf("ensure image: %v", err)
	}
	return d
}

// machine is the least one, of the test's image.
func machine(id, name string) hypervisor.Spec {
	img, _ := theDigest()
	return hypervisor.Spec{ID: id, Name: name, CPUs: 1, MemoryBytes: 96 << 20, Image: img, Disks: []hypervisor.DiskSpec{{}},
		NICs: []hypervisor.NICSpec{{MAC: "52:54:00:00:00:01", Network: "VM Network"}}, Seed: bytes.Repeat([]byte("seed"), 4096)}
}

// silent is an address where nobody answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// Whatever call of an upload fails, nothing is left, and the next one makes it whole.
func TestImageFaults(t *testing.T) {
	for _, esx := range []bool{false, true} {
		s := start(t, sim.Options{ESX: esx})
		d := open(t, s, "faults")
		img := image(t)
		for n := 1; ; n++ {
			failed := s.Fail((n+1)/2, n%2 == 0)
			err := d.EnsureImage(t.Context(), img, nil)
			if !failed() {
				break
			}
			if err == nil {
				t.Errorf("ESXi %v: call %d failed and nobody said so", esx, n)
			}
			if err := d.EnsureImage(t.Context(), img, nil); err != nil {
				t.Errorf("ESXi %v: again after call %d failed: %v", esx, n, err)
			}
			if err := d.RemoveImage(t.Context(), img.Digest); err != nil {
				t.Errorf("ESXi %v: remove after call %d failed: %v", esx, n, err)
			}
			if left := left(t, s); len(left) > 0 {
				t.Errorf("ESXi %v: left after call %d failed: %q", esx, n, left)
			}
		}
	}
}

// What arrives is what was sent: the image's disk, and the seed.
func TestContent(t *testing.T) {
	s := start(t, sim.Options{})
	d := open(t, s, "content")
	var told []hypervisor.Progress
	if err := d.EnsureImage(t.Context(), image(t), func(p hypervisor.Progress) { told = append(told, p) }); err != nil {
		t.Fatal(err)
	}
	if n := len(told); n == 0 || told[n-1].Bytes != told[n-1].TotalBytes {
		t.Errorf("progress %v", told)
	}
	disks, err := filepath.Glob(filepath.Join(s.Dir(""), "ingot-image-*", "*-flat.vmdk"))
	if err != nil || len(disks) != 1 {
		t.Fatalf("disks %v, %v", disks, err)
	}
	if got, err := os.ReadFile(disks[0]); err != nil || !bytes.Equal(got, content()) {
		t.Errorf("the image's disk is not what was sent (%v)", err)
	}
	spec := machine("m-1", "one")
	if _, err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	seeds, _ := filepath.Glob(filepath.Join(s.Dir(""), "seed-*", "seed-flat.vmdk"))
	if len(seeds) != 1 {
		t.Fatalf("seeds %v", seeds)
	}
	if got, err := os.ReadFile(seeds[0]); err != nil || !bytes.HasPrefix(got, spec.Seed) || len(got)%(1<<20) != 0 {
		t.Errorf("the seed is not what was sent (%d bytes, %v)", len(got), err)
	}
}

// A lease that is shorter than the upload lives on by its progress.
func TestLeaseLives(t *testing.T) {
	s := start(t, sim.Options{Lease: 2 * time.Second})
	d := open(t, s, "lease")
	img := image(t)
	whole := img.Open
	img.Open = func(ctx context.Context, f hypervisor.Format) (hypervisor.Artefact, error) {
		a, err := whole(ctx, f)
		a.Content = slow{a.Content, s}
		return a, err
	}
	if err := d.EnsureImage(t.Context(), img, nil); err != nil {
		t.Error(err)
	}
	if n := count(s, "HttpNfcLeaseProgress"); n < 6 {
		t.Errorf("progress was told %d times", n)
	}
}

// slow stops reading after the start until progress was told for longer than the lease.
type slow struct {
	hypervisorContent
	s *sim.Server
}

type hypervisorContent = interface {
	Read([]byte) (int, error)
	Close() error
	ReadAt([]byte, int64) (int, error)
}

func (c slow) Read(p []byte) (int, error) {
	for count(c.s, "HttpNfcLeaseProgress") < 6 {
		time.Sleep(time.Millisecond)
	}
	return c.hypervisorContent.Read(p)
}

func TestThousandMachinesAreListedInThreeTrips(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 1,000 machines")
	}
	s := start(t, sim.Options{})
	d := open(t, s, "many")
	if err := s.Many(1000, "many"); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1000 {
		t.Errorf("%d machines listed", len(all))
	}
	if calls := s.Calls(); len(calls) > 3 {
		t.Errorf("%d round trips", len(calls))
	}
}

// A task that is held up is cancelled when its time is up, and leaves nothing that Delete
// does not take away.
func TestCancelledTasks(t *testing.T) {
	for _, esx := range []bool{false, true} {
		s := start(t, sim.Options{ESX: esx})
		d := ready(t, s, "cancel")
		before := left(t, s)
		for _, method := range []string{"CloneVM_Task", "CreateVM_Task", "CopyVirtualDisk_Task"} {
			s.Delay(method, time.Hour)
		}
		first := "CloneVM_Task"
		if esx {
			first = "CopyVirtualDisk_Task"
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := d.Create(ctx, machine("m-1", "one")); ended <- err }()
		await(t, s, first)
		began := time.Now()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(began) > 4*time.Second {
			t.Errorf("ESXi %v: got %v after %s", esx, err, time.Since(began))
		}
		if n := count(s, "CancelTask"); n != 1 {
			t.Errorf("ESXi %v: %d tasks cancelled", esx, n)
		}
		if err := d.Delete(t.Context(), "m-1"); err != nil {
			t.Errorf("ESXi %v: delete: %v", esx, err)
		}
		if diff := cmp.Diff(before, left(t, s)); diff != "" {
			t.Errorf("ESXi %v: left (-before +after):\n%s", esx, diff)
		}
	}
}

func TestPower(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "power")
	vm, err := d.Create(t.Context(), machine("m-1", "one"))
	if err != nil {
		t.Fatal(err)
	}
	s.Ask(vm.UUID, "I moved it or I copied it?")
	s.Delay("PowerOnVM_Task", time.Hour)
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Force); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "I moved it or I copied it?") {
		t.Errorf("a question: %v", err)
	}
	s.Ask(vm.UUID, "")
	s.Delay("PowerOnVM_Task", 0)
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "guest tools") {
		t.Errorf("shut down without tools: %v", err)
	}
	s.SetTools(vm.UUID, true)
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful); err != nil {
		t.Errorf("shut down: %v", err)
	}
	if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != hypervisor.Off {
		t.Errorf("power is %s, %v", got.Power, err)
	}
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Paused, hypervisor.Force); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("pause: %v", err)
	}
}

func TestFirmware(t *testing.T) {
	s := start(t, sim.Options{})
	if err := s.AddKeyProvider("keys"); err != nil {
		t.Fatal(err)
	}
	d := ready(t, s, "firmware")
	if !d.Capabilities().TPM {
		t.Error("a key provider is not seen")
	}
	secure := machine("m-secure", "secure")
	secure.Firmware, secure.SecureBoot, secure.TPM = inventory.FirmwareUEFI, true, true
	bios := machine("m-bios", "bios")
	bios.Firmware = inventory.FirmwareBIOS
	grown := machine("m-grown", "grown")
	grown.Disks[0].SizeBytes = imageBytes + 1<<20
	for _, test := range []struct {
		spec        hypervisor.Spec
		firmware    inventory.FirmwareMode
		secure, tpm bool
		clone       hypervisor.CloneKind
	}{
		{secure, inventory.FirmwareUEFI, true, true, hypervisor.LinkedClone},
		{bios, inventory.FirmwareBIOS, false, false, hypervisor.LinkedClone},
		{grown, inventory.FirmwareUEFI, false, false, hypervisor.FullCopy},
	} {
		plan, err := d.Plan(t.Context(), test.spec)
		if err != nil || plan.Clone != test.clone || (plan.Why == "") != (test.clone == hypervisor.LinkedClone) {
			t.Errorf("%s: plan %+v, %v", test.spec.ID, plan, err)
		}
		vm, err := d.Create(t.Context(), test.spec)
		if err != nil {
			t.Errorf("%s: %v", test.spec.ID, err)
			continue
		}
		if vm.Firmware != test.firmware || vm.SecureBoot != test.secure || vm.TPM != test.tpm || vm.Clone != test.clone || len(vm.Disks) != 1 {
			t.Errorf("made %+v", vm)
		}
	}
}

func TestRefusedSpecs(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "refused")
	before := left(t, s)
	for want, change := range map[string]func(*hypervisor.Spec){
		"multiple of 4 MiB":    func(s *hypervisor.Spec) { s.MemoryBytes = 65 << 20 },
		"disk 1 of 1536 bytes": func(s *hypervisor.Spec) { s.Disks = append(s.Disks, hypervisor.DiskSpec{SizeBytes: 1536}) },
		"root disk of 4195840": func(s *hypervisor.Spec) { s.Disks[0].SizeBytes = imageBytes + 1536 },
		"at least 96 MiB":      func(s *hypervisor.Spec) { s.MemoryBytes = 64 << 20 },
		"want at most 10": func(s *hypervisor.Spec) {
			for i := range 10 {
				s.NICs = append(s.NICs, hypervisor.NICSpec{MAC: inventory.MAC(fmt.Sprintf("52:54:00:00:01:%02x", i))})
			}
		},
		"keeps 00:50:56:40":        func(s *hypervisor.Spec) { s.NICs[0].MAC = "00:50:56:40:00:00" },
		"addresses it generates":   func(s *hypervisor.Spec) { s.NICs[0].MAC = "00:0c:29:00:00:01" },
		"needs a key provider":     func(s *hypervisor.Spec) { s.TPM = true },
		`no network "nowhere"`:     func(s *hypervisor.Spec) { s.NICs[0].Network = "nowhere" },
		"which network? There are": func(s *hypervisor.Spec) { s.NICs[0].Network = "" },
		"port group has the VLAN":  func(s *hypervisor.Spec) { s.NICs[0].VLAN = 7 },
		"want at most 14": func(s *hypervisor.Spec) {
			s.Disks = append(s.Disks, slices.Repeat([]hypervisor.DiskSpec{{SizeBytes: 1 << 20}}, 14)...)
		},
		`image "sha256:none"`:        func(s *hypervisor.Spec) { s.Image = "sha256:none" },
		"InvalidArgument configSpec": func(s *hypervisor.Spec) { s.CPUs = 200 },
	} {
		spec := machine("m-1", "one")
		change(&spec)
		if _, err := d.Create(t.Context(), spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := d.Delete(t.Context(), spec.ID); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(before, left(t, s)); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// A disk that stands on another one does not grow, and the error says why.
func TestGrowRefused(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "grow")
	spec := machine("m-1", "one")
	if _, err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := d.GrowDisk(t.Context(), spec.ID, 0, imageBytes+1<<20); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "linked clone") {
		t.Errorf("linked clone: %v", err)
	}
	full := machine("m-2", "two")
	full.Disks[0].SizeBytes = imageBytes + 1<<20
	if _, err := d.Create(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	if err := d.CreateSnapshot(t.Context(), full.ID, "kept"); err != nil {
		t.Fatal(err)
	}
	if err := d.GrowDisk(t.Context(), full.ID, 0, imageBytes+2<<20); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "snapshots") {
		t.Errorf("with a snapshot: %v", err)
	}
	if vm, err := d.Get(t.Context(), full.ID); err != nil || vm.Clone != hypervisor.FullCopy {
		t.Errorf("a full copy with a snapshot is %q, %v", vm.Clone, err)
	}
}

func TestAdopt(t *testing.T) {
	s := start(t, sim.Options{Machines: 2})
	d, other := open(t, s, "ours"), open(t, s, "theirs")
	foreign, err := d.Foreign(t.Context())
	if err != nil || len(foreign) != 4 {
		t.Fatalf("%d foreign machines, %v", len(foreign), err)
	}
	uuid := foreign[0].UUID
	for range 2 {
		vm, err := d.Adopt(t.Context(), uuid, "m-adopted")
		if err != nil || vm.ID != "m-adopted" || vm.UUID != uuid || vm.Name != foreign[0].Name {
			t.Errorf("adopted %+v, %v", vm, err)
		}
	}
	if _, err := other.Adopt(t.Context(), uuid, "m-stolen"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("adopted twice: %v", err)
	}
	if _, err := d.Adopt(t.Context(), foreign[1].UUID, "m-adopted"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("an ID twice: %v", err)
	}
	if _, err := d.Adopt(t.Context(), hypervisor.UUID("no", "body"), "m-none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("nobody adopted: %v", err)
	}
	if err := d.SetPower(t.Context(), "m-adopted", hypervisor.On, hypervisor.Force); err != nil {
		t.Error(err)
	}
	if left, err := d.Foreign(t.Context()); err != nil || len(left) != 3 {
		t.Errorf("%d foreign machines after, %v", len(left), err)
	}
}

func TestWatch(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "watch")
	if _, err := d.Create(t.Context(), machine("m-1", "one")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan string, 100), make(chan error, 1)
	s.Forget()
	go func() { ended <- d.Watch(ctx, func(id string) { seen <- id }) }()
	for count(s, "WaitForUpdatesEx") < 2 { // the machines as they are were told
		time.Sleep(time.Millisecond)
	}
	next := func(want string) {
		t.Helper()
		for {
			select {
			case id := <-seen:
				if id == want {
					return
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("nothing about %q", want)
			}
		}
	}
	if err := d.SetPower(t.Context(), "m-1", hypervisor.On, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	next("m-1")
	if _, err := d.Create(t.Context(), machine("m-2", "two")); err != nil {
		t.Fatal(err)
	}
	next("m-2")
	s.Expire()
	if err := d.Delete(t.Context(), "m-2"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}
}

func found(findings []hypervisor.Finding, what string, level hypervisor.FindingLevel, text string) bool {
	return slices.ContainsFunc(findings, func(f hypervisor.Finding) bool {
		return f.What == what && f.Level == level && strings.Contains(f.Detail, text) && f.Try != ""
	})
}

// What the login may not do is ErrDenied, and the error names the privilege.
func TestDenied(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "denied")
	if _, err := d.Create(t.Context(), machine("m-1", "one")); err != nil {
		t.Fatal(err)
	}
	s.Deny("VirtualMachine.Interact.PowerOn")
	err := d.SetPower(t.Context(), "m-1", hypervisor.On, hypervisor.Force)
	if !errors.Is(err, inventory.ErrDenied) || !strings.Contains(err.Error(), "lacks the privilege VirtualMachine.Interact.PowerOn") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, esx := range []bool{false, true} {
		s := start(t, sim.Options{ESX: esx})
		findings, err := vsphere.Diagnose(t.Context(), config(s, "check"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Level == hypervisor.Failed {
				t.Errorf("%+v", f)
			}
		}
		if len(findings) < 10 || !found(findings, "quota", hypervisor.Warning, "resource pool Resources: memory up to 961 MiB") {
			t.Errorf("ESXi %v: findings %+v", esx, findings)
		}
		c := config(s, "check")
		c.Thumbprint = ""
		findings, err = vsphere.Diagnose(t.Context(), c)
		if last := findings[len(findings)-1]; err != nil || last.Level != hypervisor.Failed || !strings.Contains(last.Try, s.Thumbprint()) {
			t.Errorf("no pin: %+v, %v", last, err)
		}
		c = config(s, "check")
		c.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		s.Deny("VirtualMachine.Interact.PowerOn", "Datastore.DeleteFile")
		findings, err = vsphere.Diagnose(t.Context(), c)
		if err != nil || !found(findings, "clock", hypervisor.Warning, "1h0m0s off") ||
			!found(findings, "privileges", hypervisor.Failed, "VirtualMachine.Interact.PowerOn on ") || !found(findings, "privileges", hypervisor.Failed, "Datastore.DeleteFile on ") {
			t.Errorf("clock and privileges: %+v, %v", findings, err)
		}
		c.URL = "vsphere://root@127.0.0.1:1"
		findings, err = vsphere.Diagnose(t.Context(), c)
		if last := findings[len(findings)-1]; err != nil || last.Level != hypervisor.Failed || !strings.Contains(last.What, "reach") {
			t.Errorf("nobody there: %+v, %v", last, err)
		}
	}
}

// TestObstacles: each thing that is in the way of first contact is a finding of its own,
// after those that went well; a wrong password is tried once.
func TestObstacles(t *testing.T) {
	s := start(t, sim.Options{Datastores: 2})
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, test := range map[string]struct {
		change func(*vsphere.Config)
		want   []string
		detail string
	}{
		"address":   {func(c *vsphere.Config) { c.URL = "vsphere://" + s.Host() }, []string{"address"}, "is not vsphere://user@server"},
		"wrong pin": {func(c *vsphere.Config) { c.Thumbprint = strings.Repeat("ab", 32) }, []string{"reach", "certificate"}, "not the pinned one"},
		"not a vCenter": {func(c *vsphere.Config) {
			c.URL, c.Thumbprint = "vsphere://root@"+web.Listener.Addr().String(), printOf(web)
		}, []string{"reach", "certificate", "API"}, "404"},
		"wrong password": {func(c *vsphere.Config) { c.Password = func() ([]byte, error) { return []byte("wrong"), nil } }, []string{"reach", "certificate", "login"}, "InvalidLogin"},
		"two datastores": {func(*vsphere.Config) {}, []string{"reach", "certificate", "place"}, "which datastore?"},
	} {
		c := config(s, "obstacles")
		test.change(&c)
		s.Forget()
		findings, err := vsphere.Diagnose(t.Context(), c)
		var whats []string
		for _, f := range findings {
			whats = append(whats, f.What)
		}
		if diff := cmp.Diff(test.want, whats); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			continue
		}
		if last := findings[len(findings)-1]; last.Level != hypervisor.Failed || !strings.Contains(last.Detail, test.detail) || last.Try == "" {
			t.Errorf("%s: got %+v, want %q", name, last, test.detail)
		}
		if n := count(s, "Login"); n > 1 {
			t.Errorf("%s: %d logins", name, n)
		}
	}
}

func printOf(s *httptest.Server) string { return soap.ThumbprintSHA256(s.Certificate()) }

// TestCheckOfOneGone: a server that went away is told by what is the matter alone.
func TestCheckOfOneGone(t *testing.T) {
	s := start(t, sim.Options{})
	d := opened(t, s, "gone")
	s.Close()
	findings, err := d.Check(t.Context())
	if err != nil || len(findings) != 1 || findings[0].What != "reach" {
		t.Errorf("got %+v, %v", findings, err)
	}
	_ = d.Close() // there is nobody to log out at
}

package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

func TestErrors(t *testing.T) {
	for code, want := range map[uint32]error{
		42: inventory.ErrNotFound, 43: inventory.ErrNotFound, 49: inventory.ErrNotFound, 50: inventory.ErrNotFound, 72: inventory.ErrNotFound,
		55: inventory.ErrBusy, 68: inventory.ErrBusy, 86: inventory.ErrBusy, 87: inventory.ErrBusy,
		3: inventory.ErrUnsupported, 67: inventory.ErrUnsupported, 74: inventory.ErrUnsupported, 84: inventory.ErrUnsupported,
		90: inventory.ErrConflict, 29: inventory.ErrDenied, 45: inventory.ErrDenied, 88: inventory.ErrDenied,
		8: inventory.ErrInvalid, 27: inventory.ErrInvalid,
	} {
		err := failure("do it", lv.Error{Code: code, Message: "its words"})
		if !errors.Is(err, want) || err.Error() != "libvirt: do it: its words" || !said(fmt.Errorf("more: %w", err), lv.ErrorNumber(code)) {
			t.Errorf("%d became %v, want %v", code, err, want)
		}
	}
	if err := failure("do it", lv.Error{Code: 9, Message: "its words"}); said(err, lv.ErrNoDomain) || !said(err) || errors.Is(err, inventory.ErrBusy) {
		t.Errorf("9 became %v", err)
	}
	if err := failure("do it", lv.ErrUnsupported); !errors.Is(err, inventory.ErrUnsupported) || said(err) {
		t.Errorf("an unknown procedure became %v", err)
	}
	if failure("do it", nil) != nil || said(nil) || said(errors.New("other")) {
		t.Error("no error became one")
	}
}

// TestErrorsOfLibvirt asks for what is not there, and does what can't be done.
func TestErrorsOfLibvirt(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "errors")
	if _, err := d.Create(t.Context(), spec("m-errors", "errors", image)); err != nil {
		t.Fatal(err)
	}
	f, err := d.find(t.Context(), "m-errors")
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.pool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		call func(*lv.Libvirt) error
		want error
	}{
		"no domain":    {func(r *lv.Libvirt) error { _, err := r.DomainLookupByName("none"); return err }, inventory.ErrNotFound},
		"no network":   {func(r *lv.Libvirt) error { _, err := r.NetworkLookupByName("none"); return err }, inventory.ErrNotFound},
		"no pool":      {func(r *lv.Libvirt) error { _, err := r.StoragePoolLookupByName("none"); return err }, inventory.ErrNotFound},
		"no volume":    {func(r *lv.Libvirt) error { _, err := r.StorageVolLookupByName(p.it, "none"); return err }, inventory.ErrNotFound},
		"no snapshot":  {func(r *lv.Libvirt) error { _, err := r.DomainSnapshotLookupByName(f.Domain, "none", 0); return err }, inventory.ErrNotFound},
		"does not run": {func(r *lv.Libvirt) error { return r.DomainDestroy(f.Domain) }, inventory.ErrBusy},
		"volume exists": {func(r *lv.Libvirt) error {
			_, err := r.StorageVolCreateXML(p.it, "<volume><name>"+imageFile(t, host)+"</name><capacity>1</capacity></volume>", 0)
			return err
		}, inventory.ErrConflict},
		"bad XML": {func(r *lv.Libvirt) error { _, err := r.DomainDefineXML("<domain>"); return err }, inventory.ErrInvalid},
	} {
		if err := do(t.Context(), d.link, name, test.call); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestRedial kills the daemon, with a machine running, and starts it again.
func TestRedial(t *testing.T) {
	host := ownDaemon(t)
	d, image := host.ready(t, "redial")
	if _, err := d.Create(t.Context(), spec("m-redial", "redial", image)); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), "m-redial", hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	host.kill()
	if _, err := d.Get(t.Context(), "m-redial"); err == nil || errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("get without a daemon: %v", err)
	}
	findings, err := d.Check(t.Context())
	if err != nil || len(findings) != 1 || findings[0].Level != hypervisor.Failed || findings[0].Try == "" {
		t.Errorf("check without a daemon: %+v, %v", findings, err)
	}
	if err := host.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if vm, err := d.Get(t.Context(), "m-redial"); err != nil || vm.Power != hypervisor.On {
		t.Errorf("get after the daemon came back: %q, %v", vm.Power, err)
	}
}

// TestHungDaemon stops the daemon without ending it: calls end with their context, and
// things go on when it goes on.
func TestHungDaemon(t *testing.T) {
	host := ownDaemon(t)
	d, image := host.ready(t, "hung")
	if err := host.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer host.signal(syscall.SIGCONT)
	var calls sync.WaitGroup
	for name, call := range map[string]func(context.Context) error{
		"get":    func(ctx context.Context) error { _, err := d.Get(ctx, "m-hung"); return err },
		"create": func(ctx context.Context) error { _, err := d.Create(ctx, spec("m-hung", "hung", image)); return err },
		"delete": func(ctx context.Context) error { return d.Delete(ctx, "m-other") },
		"images": func(ctx context.Context) error { _, err := d.Images(ctx); return err },
		"change": func(ctx context.Context) error {
			return do(ctx, d.link, "define", func(r *lv.Libvirt) error { _, err := r.DomainDefineXML("<domain>"); return err })
		},
		"open": func(ctx context.Context) error { _, err := Open(ctx, host.config("other")); return err },
	} {
		calls.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 3*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		})
	}
	calls.Wait()
	// A changing call is still under way, and the next change waits for it.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := d.Delete(ctx, "m-hung"); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("delete behind a change: %v", err)
	}
	if err := host.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), "m-hung"); err != nil {
		t.Error(err)
	}
	if _, err := d.Create(t.Context(), spec("m-hung", "hung", image)); err != nil {
		t.Error(err)
	}
}

// TestSilentPeer is a host that takes connections and says nothing, which are dropped.
func TestSilentPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "silent")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Config{URL: "qemu:///session", Socket: path, Owner: "silent"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("open: %v", err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for b := make([]byte, 1000); err == nil; {
		_, err = conn.Read(b)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was left open")
	}
}

// TestClosed: nothing works with a driver that is closed, and nothing hangs.
func TestClosed(t *testing.T) {
	d, err := Open(t.Context(), needDaemon(t).config("closed"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.List(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("list: %v", err)
	}
}

// heard collects what Watch tells.
type heard chan string

func (h heard) expect(t *testing.T, want string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case id := <-h:
			if id == want {
				return
			}
		case <-limit:
			t.Fatalf("nothing was told of %q", want)
		}
	}
}

// TestWatch: a life is told, of this owner only, and after the daemon was gone the word is
// that anything may have changed.
func TestWatch(t *testing.T) {
	host := ownDaemon(t)
	d, image := host.ready(t, "watch")
	other := host.open(t, "other")
	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(heard), make(chan error, 1)
	go func() {
		done <- d.Watch(ctx, func(id string) {
			select {
			case told <- id:
			case <-ctx.Done():
			}
		})
	}()
	told.expect(t, "")
	if _, err := other.Create(t.Context(), spec("m-theirs", "theirs", image)); err != nil {
		t.Fatal(err)
	}
	if err := other.Delete(t.Context(), "m-theirs"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { _, err := d.Create(t.Context(), spec("m-watch", "watch", image)); return err },
		func() error { return d.SetPower(t.Context(), "m-watch", hypervisor.On, hypervisor.Graceful) },
		func() error { return d.SetPower(t.Context(), "m-watch", hypervisor.Off, hypervisor.Force) },
		func() error { return d.Delete(t.Context(), "m-watch") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		select {
		case id := <-told:
			if id != "m-watch" {
				t.Fatalf("told of %q", id)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was told")
		}
	}
	host.kill()
	if err := host.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	told.expect(t, "")
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("watch: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("watch does not end")
	}
}

// TestWatchSlowly: one who takes events slowly holds up nobody.
func TestWatchSlowly(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "slowly")
	ctx, cancel := context.WithCancel(t.Context())
	started, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- d.Watch(ctx, func(id string) {
			if id == "" {
				close(started)
				return
			}
			<-ctx.Done()
		})
	}()
	<-started
	for i := range 5 {
		if _, err := d.Create(t.Context(), spec(fmt.Sprintf("m-slowly%d", i), "slowly", image)); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAdopt(t *testing.T) {
	host := needDaemon(t)
	d, other := host.open(t, "adopter"), host.open(t, "other")
	disk := filepath.Join(host.dir, "data", "theirs.qcow2")
	host.as(t, "qemu-img", "create", "-q", "-f", "qcow2", disk, "8M")
	if err := host.give(disk); err != nil {
		t.Fatal(err)
	}
	uuid := host.define(t, "old", "<disk type='file'><driver name='qemu' type='qcow2'/><source file='"+disk+"'/><target dev='sda' bus='sata'/></disk>")
	defer host.undefine(t, "old")
	foreign, err := d.Foreign(t.Context())
	if err != nil || len(foreign) != 1 || foreign[0].UUID != uuid || foreign[0].ID != "" || foreign[0].Name != "old" || foreign[0].Disks[0].SizeBytes != 8<<20 {
		t.Fatalf("foreign %+v, %v", foreign, err)
	}
	for range 2 {
		vm, err := d.Adopt(t.Context(), uuid, "m-old")
		if err != nil || vm.ID != "m-old" || vm.UUID != uuid || vm.Name != "old" {
			t.Errorf("adopted %+v, %v", vm, err)
		}
	}
	if _, err := other.Adopt(t.Context(), uuid, "m-mine"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("adopt another's machine: %v", err)
	}
	if _, err := d.Adopt(t.Context(), uuid, "m-second"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("adopt under a second ID: %v", err)
	}
	if _, err := d.Adopt(t.Context(), "6b1ab1c2-0000-4000-8000-000000000000", "m-none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("adopt what is not there: %v", err)
	}
	if all, err := d.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != "m-old" {
		t.Errorf("list %+v, %v", all, err)
	}
	if err := d.SetPower(t.Context(), "m-old", hypervisor.On, hypervisor.Graceful); err != nil {
		t.Error(err)
	}
	if err := d.Delete(t.Context(), "m-old"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(disk); err != nil {
		t.Errorf("the disk of an adopted machine: %v", err)
	}
	if foreign, err := d.Foreign(t.Context()); err != nil || len(foreign) > 0 {
		t.Errorf("after its end: %+v, %v", foreign, err)
	}
}

func TestCheck(t *testing.T) {
	d := needDaemon(t).open(t, "check")
	findings, err := d.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, f := range findings {
		t.Logf("%s: %s: %s (%s)", f.Level, f.What, f.Detail, f.Try)
		what = append(what, strings.Fields(f.What)[0])
		if f.Level == hypervisor.Failed || f.Level == hypervisor.Warning && f.Try == "" {
			t.Errorf("%+v", f)
		}
	}
	if want := []string{"connection", "KVM", "UEFI", "TPM", "storage", "network", "memory"}; !slices.Equal(what, want) {
		t.Errorf("found %q, want %q", what, want)
	}
	if c := d.Capabilities(); c.Product != "libvirt" || c.Version == "" || c.CPUs == 0 || c.MemoryBytes == 0 || c.FreeMemoryBytes == 0 {
		t.Errorf("capabilities %+v", c)
	}
}

// TestProbe runs the probe's guest under emulation, where it must come to its end, and
// gives it too little time.
func TestProbe(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a guest under emulation, ten seconds")
	}
	d := needDaemon(t).open(t, "probe")
	began := time.Now()
	if err := d.probe(t.Context(), "qemu", time.Minute); err != nil {
		t.Error(err)
	}
	t.Logf("the probe's guest took %v under emulation", time.Since(began))
	if err := d.probe(t.Context(), "qemu", 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not come to its end") {
		t.Errorf("a guest that does nothing: %v", err)
	}
	if _, err := d.all(t.Context()); err != nil {
		t.Error(err)
	}
}

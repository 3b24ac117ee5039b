package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
)

// vmHost is a libvirtd of its own, and an ingot serve that knows it.
type vmHost struct {
	b *bench
	// dir is below /tmp: a socket's path must be short.
	dir       string
	libvirtd  *server
	ingot     *server
	client    *api.Client
	image     string
	blueprint string
}

// vmNetwork is libvirt's network "default", with no firewall and no name server.
const vmNetwork = `<network><name>default</name><forward mode='open'/><bridge name='virbr0' stp='off' delay='0'/>
<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>`

// vmImageBytes is the size of an image without a system.
const vmImageBytes = 64 << 20

// openHost starts both, and makes one VM, so that the image is at the host.
func (b *bench) openHost(ctx context.Context) (_ *vmHost, err error) {
	h := &vmHost{b: b}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.dir, err = os.MkdirTemp("", "bench-lv-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(h.dir, 0o755); err != nil { // QEMU's user passes through it
		return nil, err
	}
	if err := h.startLibvirt(ctx); err != nil {
		return nil, err
	}
	if err := h.startIngot(ctx); err != nil {
		return nil, err
	}
	if err := h.order(ctx, "first"); err != nil {
		return nil, err
	}
	return h, h.learn(ctx)
}

func (h *vmHost) startLibvirt(ctx context.Context) (err error) {
	ready := func(*server) bool {
		conn, err := net.Dial("unix", h.socket())
		return err == nil && conn.Close() == nil
	}
	h.libvirtd, err = h.b.start(ctx, ready, nil, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "hypervisor/libvirt/testdata/system.sh", h.dir)
	if err != nil {
		return err
	}
	file := filepath.Join(h.dir, "network.xml")
	if err := os.WriteFile(file, []byte(vmNetwork), 0o600); err != nil {
		return err
	}
	return errors.Join(h.virsh(ctx, "net-define", file), h.virsh(ctx, "net-start", "default"))
}

func (h *vmHost) socket() string { return filepath.Join(h.dir, "run/libvirt/libvirt-sock") }

func (h *vmHost) url() string { return "qemu:///system?socket=" + h.socket() }

func (h *vmHost) virsh(ctx context.Context, args ...string) error {
	_, _, err := h.b.command(ctx, nil, append([]string{"virsh", "-q", "-c", h.url()}, args...)...)
	return err
}

// startIngot starts a server on a data directory with an image that has no system.
func (h *vmHost) startIngot(ctx context.Context) error {
	data, raw, ingot := filepath.Join(h.dir, "data"), filepath.Join(h.dir, "empty.raw"), filepath.Join(h.b.bin, "ingot")
	if err := os.WriteFile(raw, []byte("no system"), 0o600); err != nil {
		return err
	}
	if err := os.Truncate(raw, vmImageBytes); err != nil {
		return err
	}
	if _, _, err := h.b.command(ctx, nil, "cp", "-a", h.b.data, data); err != nil {
		return err
	}
	if _, _, err := h.b.command(ctx, nil, ingot, "image", "import", raw, "--name", "empty", "--format", "raw", "--boots", "bios", "--first-boot", "none", "--data", data); err != nil {
		return err
	}
	var err error
	if h.ingot, err = h.b.start(ctx, prints("ingot serve is up"), nil, ingot, "serve", "--data", data, "--interface", port, "--dhcp", "proxy"); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return err
	}
	h.client = &api.Client{Base: "http://127.0.0.1:7470", Token: strings.TrimSpace(string(token))}
	return h.client.PutHost(ctx, api.HostAdd{Host: inventory.Host{Name: "kvm1", URL: h.url()}})
}

// close ends both and removes what they left.
func (h *vmHost) close() error {
	var errs []error
	for _, s := range []*server{h.ingot, h.libvirtd} {
		if s != nil {
			errs = append(errs, s.stop())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(h.dir))...)
}

const vmMemoryBytes = 64 << 20

// order has Ingot make a VM, and waits until it is started: with an image that has no
// system, that is all there is to be done.
func (h *vmHost) order(ctx context.Context, name string) error {
	m, err := h.client.CreateVM(ctx, api.VMCreate{Name: name, Image: "empty", Spec: inventory.VMSpec{Host: "kvm1", CPUs: 1, MemoryBytes: vmMemoryBytes,
		DiskBytes: []int64{vmImageBytes}, NICs: make([]inventory.VMNIC, 1), Firmware: inventory.FirmwareBIOS}})
	if err != nil {
		return err
	}
	return h.until(ctx, m.ID, func(p inventory.Payload) bool {
		state, ok := p.(inventory.StateChanged)
		return ok && state.To == inventory.Deployed
	})
}

// remove has Ingot delete a VM, and waits until it is gone.
func (h *vmHost) remove(ctx context.Context, name string) error {
	m, err := h.client.RemoveVM(ctx, name)
	if err != nil {
		return err
	}
	err = h.until(ctx, m.ID, func(p inventory.Payload) bool {
		_, ok := p.(inventory.Deleted)
		return ok
	})
	if errors.Is(err, inventory.ErrNotFound) {
		return nil // it was gone before it was asked for
	}
	return err
}

// vmLimit is how long a VM may take.
const vmLimit = 2 * time.Minute

var errSeen = errors.New("seen")

// until waits for an event of a machine.
func (h *vmHost) until(ctx context.Context, id string, is func(inventory.Payload) bool) error {
	ctx, cancel := context.WithTimeout(ctx, vmLimit)
	defer cancel()
	err := h.client.Events(ctx, api.EventOptions{Machine: id, Follow: true}, func(e inventory.Event) error {
		p, err := e.Decode()
		if err == nil && is(p) {
			err = errSeen
		}
		return err
	})
	if errors.Is(err, errSeen) {
		return nil
	}
	return fmt.Errorf("wait for VM %s: %w", id, err)
}

func (h *vmHost) pool() string { return filepath.Join(h.dir, "var/lib/libvirt/images/ingot") }

package libvirt

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/inventory"
)

// probeWithin is how long the probe's guest gets: under emulation it needs about 5 s.
const probeWithin = 12 * time.Second

// probeSays is what SeaBIOS says when it has run, with iPXE, and found nothing to boot.
const probeSays = "No bootable device"

// learnKVM tells whether guests run under KVM, and why. libvirt offers KVM where /dev/kvm
// opens, and there are hosts where it does and guests hang; so on this computer one is
// tried. A host elsewhere is believed: it is a hypervisor by trade.
func (d *Driver) learnKVM(ctx context.Context) (bool, string, error) {
	if d.config.KVM != nil {
		ok, why := d.config.KVM(ctx)
		return ok, why, ctx.Err()
	}
	if _, err := d.domainCaps(ctx, "kvm"); err != nil {
		if !said(err) {
			return false, "", err
		}
		return false, err.Error(), nil
	}
	if !d.place.local {
		return true, "the host offers KVM", nil
	}
	if err := d.probe(ctx, "kvm", probeWithin); err != nil {
		return false, err.Error(), ctx.Err()
	}
	return true, "a guest ran under KVM", nil
}

// probe starts a guest without a disk and listens until its firmware has come to the end.
// The guest is transient and destroys itself with the connection, so nothing is left.
func (d *Driver) probe(ctx context.Context, kind string, within time.Duration) error {
	text, err := probeXML(kind)
	if err != nil {
		return err
	}
	heard := newListener(probeSays)
	short, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("the guest's firmware did not come to its end within %v", within))
	defer cancel()
	listen, stop := context.WithCancel(ctx)
	defer stop()
	var listening sync.WaitGroup
	err = d.link.aside(ctx, func(own *link) error {
		return do(ctx, own, "try a guest of type "+kind, func(r *lv.Libvirt) error {
			dom, err := r.DomainCreateXML(text, lv.DomainStartPaused|lv.DomainStartAutodestroy)
			if err != nil {
				return err
			}
			listening.Go(func() {
				d.link.stream(listen, "listen to a guest", func(r *lv.Libvirt) error { return r.DomainOpenConsole(dom, lv.OptString{}, heard, 0) })
			})
			if err := r.DomainResume(dom); err != nil {
				return err
			}
			select {
			case <-heard.done:
			case <-short.Done():
			}
			return r.DomainDestroy(dom)
		})
	})
	stop()
	listening.Wait()
	if cause := context.Cause(short); cause != nil {
		return fmt.Errorf("libvirt: try a guest of type %s: %w (the last that its serial port said: %q)", kind, cause, heard.last())
	}
	return err
}

func probeXML(kind string) (string, error) {
	suffix := make([]byte, 8)
	rand.Read(suffix)
	d := libvirtxml.Domain{Type: kind, Name: fmt.Sprintf("ingot-probe-%x", suffix),
		Memory: &libvirtxml.DomainMemory{Value: 64, Unit: "MiB"}, VCPU: &libvirtxml.DomainVCPU{Value: 1},
		OS: &libvirtxml.DomainOS{Type: &libvirtxml.DomainOSType{Machine: "q35", Type: "hvm"}, BIOS: &libvirtxml.DomainBIOS{UseSerial: "yes"},
			BootDevices: []libvirtxml.DomainBootDevice{{Dev: "hd"}}},
		Features: &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}},
		Devices: &libvirtxml.DomainDeviceList{
			Serials: []libvirtxml.DomainSerial{{Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}}}},
			Interfaces: []libvirtxml.DomainInterface{{Model: &libvirtxml.DomainInterfaceModel{Type: "virtio"},
				Source: &libvirtxml.DomainInterfaceSource{User: &libvirtxml.DomainInterfaceSourceUser{}}}},
			MemBalloon: &libvirtxml.DomainMemBalloon{Model: "none"}}}
	text, err := d.Marshal()
	if err != nil {
		return "", inventory.Invalid("probe guest: %v", err)
	}
	return text, nil
}

// listener waits for words on a serial port. Its Write never fails and never blocks.
type listener struct {
	mu   sync.Mutex
	want string
	b    bytes.Buffer
	done chan struct{}
}

func newListener(want string) *listener { return &listener{want: want, done: make(chan struct{})} }

// Write implements io.Writer.
func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := bytes.Contains(l.b.Bytes(), []byte(l.want))
	l.b.Write(b)
	if !before && bytes.Contains(l.b.Bytes(), []byte(l.want)) {
		close(l.done)
	}
	return len(b), nil
}

// text is the end of what was heard.
// last is the last line that has words in it, without what moves a cursor.
func (l *listener) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.FieldsFunc(l.b.String(), func(r rune) bool { return r < ' ' })
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); len(line) > len("[2J") {
			return line[:min(len(line), 80)]
		}
	}
	return ""
}

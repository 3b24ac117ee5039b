package libvirt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"sync"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/inventory"
)

// variables is the file with a machine's UEFI variables; empty for a machine without. One
// that is not in the pool (an adopted machine's) is ErrUnsupported: libvirt has no way to
// copy it, and a snapshot without would lose boot entries and keys.
func (f found) variables(p pool) (string, error) {
	mode, _ := firmware(f.desc.OS)
	if mode != inventory.FirmwareUEFI {
		return "", nil
	}
	file := ""
	if f.desc.OS.NVRam != nil {
		file = f.desc.OS.NVRam.NVRam
	}
	if path.Dir(file) != p.dir {
		return "", fmt.Errorf("libvirt: UEFI variables of domain %s are in %q, outside of pool %s: %w", f.Name, file, p.it.Name, inventory.ErrUnsupported)
	}
	return path.Base(file), nil
}

// variablesVolume finds the machine's variables. A machine that has never run has none.
func (d *Driver) variablesVolume(ctx context.Context, f found) (p pool, v lv.StorageVol, ok bool, err error) {
	if p, err = d.pool(ctx); err != nil {
		return p, v, false, err
	}
	name, err := f.variables(p)
	if err != nil || name == "" {
		return p, v, false, err
	}
	if err := p.refresh(ctx); err != nil {
		return p, v, false, err
	}
	v, err = p.volume(ctx, name)
	if missing(err) {
		return p, v, false, nil
	}
	return p, v, err == nil, err
}

// keepVariables copies them for a snapshot.
func (d *Driver) keepVariables(ctx context.Context, f found, name string) error {
	if mode, _ := firmware(f.desc.OS); mode != inventory.FirmwareUEFI {
		return nil
	}
	p, v, ok, err := d.variablesVolume(ctx, f)
	if err != nil {
		return err
	}
	if err := p.removeAll(ctx, keptVariables(f.desc.UUID, name)); err != nil || !ok {
		return err
	}
	return p.copyAs(ctx, v, keptVariables(f.desc.UUID, name))
}

// variablesMax is more than any firmware's variables take (OVMF's are 528 KiB).
const variablesMax = 16 << 20

// copyAs copies a volume byte by byte. libvirt's own copy would go by the format that it
// sees in the content, which the guest writes: a guest that wrote a qcow2 header there,
// naming a file of the host, would get that file.
func (p pool) copyAs(ctx context.Context, v lv.StorageVol, name string) error {
	var content limited
	err := p.stream(ctx, "read volume "+v.Name, func(r *lv.Libvirt) error { return r.StorageVolDownload(v, &content, 0, 0, 0) })
	if err != nil {
		return err
	}
	b, ok := content.bytes()
	if !ok {
		return fmt.Errorf("libvirt: volume %s is larger than any UEFI variables: %w", v.Name, inventory.ErrUnsupported)
	}
	made, err := p.create(ctx, raw(name, int64(len(b))))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	return p.fill(ctx, made, bytes.NewReader(b), int64(len(b)), hex.EncodeToString(sum[:]), nil)
}

// limited keeps what is written to it up to variablesMax, and never fails (see counted).
type limited struct {
	mu   sync.Mutex
	b    []byte
	over bool
}

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over = l.over || len(l.b)+len(b) > variablesMax; !l.over {
		l.b = append(l.b, b...)
	}
	return len(b), nil
}

func (l *limited) bytes() (b []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b, !l.over
}

// revertVariables puts a snapshot's copy in the place of the machine's. Without a copy
// the machine had not run, and gets new ones when it starts.
func (d *Driver) revertVariables(ctx context.Context, f found, name string) error {
	if mode, _ := firmware(f.desc.OS); mode != inventory.FirmwareUEFI {
		return nil
	}
	p, v, ok, err := d.variablesVolume(ctx, f)
	if err != nil {
		return err
	}
	if ok {
		if err := p.remove(ctx, v); err != nil {
			return err
		}
	}
	kept, err := p.volume(ctx, keptVariables(f.desc.UUID, name))
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	file, err := f.variables(p)
	if err != nil {
		return err
	}
	return p.copyAs(ctx, kept, file)
}

// dropVariables deletes a snapshot's copy.
func (d *Driver) dropVariables(ctx context.Context, f found, name string) error {
	p, err := d.pool(ctx)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.removeAll(ctx, keptVariables(f.desc.UUID, name))
}

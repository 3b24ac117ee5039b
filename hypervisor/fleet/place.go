package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"ingot/hypervisor"
	"ingot/inventory"
)

// candidate is a host that a machine could go to.
type candidate struct {
	host inventory.Host
	// freeBytes of memory beyond what the inventory's VMs there want.
	freeBytes int64
	// hasImage: no image bytes would move. alike counts VMs of the same kind of name.
	hasImage bool
	alike    int
}

// reserve is the part of a host's memory that is left to itself: one in this many.
const reserve = 10

// place gives the machine a host, and says why, if it has none.
func (f *Fleet) place(ctx context.Context, j *job, image hypervisor.Image) error {
	if j.m.Spec.VM.Host != inventory.AnyHost {
		return nil
	}
	if err := f.placing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer f.placing.Release(1)
	placed, err := f.choose(ctx, j.m, image)
	if err != nil {
		return err
	}
	return j.edit(ctx, func(m *inventory.Machine) { m.Spec.VM.Host = placed.Host }, placed)
}

// choose finds the best host for a machine that may go to any.
func (f *Fleet) choose(ctx context.Context, m *inventory.Machine, image hypervisor.Image) (inventory.Placed, error) {
	if host := m.Spec.VM.Host; host != inventory.AnyHost {
		return inventory.Placed{Host: host}, nil
	}
	found, refused, err := f.candidates(ctx, m, image)
	if err != nil {
		return inventory.Placed{}, err
	}
	if len(found) == 0 {
		return inventory.Placed{}, fmt.Errorf("no host takes machine %s: %s: %w", m.Name, cmp.Or(strings.Join(refused, "; "), "there is none (ingot host add NAME URL)"), inventory.ErrBusy)
	}
	slices.SortFunc(found, better)
	return inventory.Placed{Host: found[0].host.Name, Why: reason(found)}, nil
}

// better sorts the best first: machines of one kind apart, then where the image is, then
// where most memory is free.
func better(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.alike, b.alike), boolFirst(a.hasImage, b.hasImage), cmp.Compare(b.freeBytes, a.freeBytes), cmp.Compare(a.host.Name, b.host.Name))
}

func boolFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// reason says what decided between the first and the second.
func reason(sorted []candidate) string {
	best := sorted[0]
	if len(sorted) == 1 {
		return "the only host that takes it"
	}
	next := sorted[1]
	switch {
	case best.alike < next.alike:
		return fmt.Sprintf("%d machines of its kind there, %d on %s", best.alike, next.alike, next.host.Name)
	case best.hasImage && !next.hasImage:
		return "the image is there already"
	case best.freeBytes > next.freeBytes:
		return fmt.Sprintf("most memory free (%s)", inventory.FormatBytes(best.freeBytes))
	}
	return "first by name"
}

// candidates asks all open hosts. refused says why the others don't take it.
func (f *Fleet) candidates(ctx context.Context, m *inventory.Machine, image hypervisor.Image) (found []candidate, refused []string, err error) {
	var hosts []inventory.Host
	var machines []*inventory.Machine
	err = f.cfg.Store.View(ctx, func(x inventory.Tx) (err error) {
		if hosts, err = x.Hosts(ctx); err != nil {
			return err
		}
		machines, err = x.Machines(ctx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	asked := make([]candidate, len(hosts))
	whys := make([]error, len(hosts))
	var asking errgroup.Group
	asking.SetLimit(atOnce)
	for i, host := range hosts {
		asking.Go(func() error { asked[i], whys[i] = f.candidate(ctx, host, m, machines, image); return nil })
	}
	_ = asking.Wait() // what went wrong is in whys
	for i, why := range whys {
		if why != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", hosts[i].Name, why))
			continue
		}
		found = append(found, asked[i])
	}
	return found, refused, ctx.Err()
}

func (f *Fleet) candidate(ctx context.Context, host inventory.Host, m *inventory.Machine, machines []*inventory.Machine, image hypervisor.Image) (candidate, error) {
	if host.Closed {
		return candidate{}, errors.New("closed")
	}
	conn, err := f.connect(ctx, host.Name)
	if err != nil {
		return candidate{}, err
	}
	can := conn.driver.Capabilities()
	c := candidate{host: host, freeBytes: can.MemoryBytes - can.MemoryBytes/reserve}
	for _, other := range machines {
		if other.Spec.VM == nil || other.Spec.VM.Host != host.Name || other.ID == m.ID {
			continue
		}
		c.freeBytes -= other.Spec.VM.MemoryBytes
		if kindOf(other.Name) == kindOf(m.Name) {
			c.alike++
		}
	}
	if c.freeBytes < m.Spec.VM.MemoryBytes {
		return c, fmt.Errorf("%s of memory free, %s wanted", inventory.FormatBytes(max(c.freeBytes, 0)), inventory.FormatBytes(m.Spec.VM.MemoryBytes))
	}
	if reason := lacks(can, m.Spec.VM); reason != "" {
		return c, errors.New(reason)
	}
	there, err := conn.driver.Images(ctx)
	c.hasImage = slices.Contains(there, image.Digest)
	return c, err
}

// lacks says what a machine wants that a host can't give.
func lacks(can hypervisor.Capabilities, v *inventory.VMSpec) string {
	switch {
	case v.SecureBoot && !can.SecureBoot:
		return "no Secure Boot"
	case v.TPM && !can.TPM:
		return "no TPM"
	case v.Firmware == inventory.FirmwareUEFI && !can.UEFI:
		return "no UEFI"
	case v.Firmware == inventory.FirmwareBIOS && !can.BIOS:
		return "no BIOS"
	}
	return ""
}

// kindOf is a name without the number at its end: web-3 and web-12 are of one kind.
func kindOf(name string) string { return strings.TrimRight(name, "0123456789-") }

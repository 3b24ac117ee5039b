package netboot

import (
	"context"
	"strings"
	"time"

	"ingot/inventory"
)

// sameBoot is how long repeated DISCOVERs of one firmware count as one attempt.
const sameBoot = 90 * time.Second

// bootStarted opens an attempt, or goes on with the one there is.
func (r *Recorder) bootStarted(ctx context.Context, b bootSeen) error {
	mac := b.client.MAC
	old := r.attempts[mac]
	if b.client.IPXE && old != nil {
		old.followed, old.last = true, b.at
		return nil
	}
	if old.same(b) {
		if !old.whole {
			old.last = b.at
		}
		return nil
	}
	if err := r.refusedLoader(ctx, old, b); err != nil {
		return err
	}
	r.bound()
	a := &attempt{id: newAttemptID(), boot: b, chain: b.offer.Chain, file: lastPart(b.offer.File + b.offer.URL), last: b.at,
		files: map[string]inventory.FileOutcome{}}
	r.attempts[mac] = a
	if !r.table.Known(mac) {
		return nil
	}
	a.told = true
	return r.tell(ctx, mac, a.started())
}

// refusedLoader notices that the last attempt's loader was fetched whole and never
// followed up: the firmware did not run it.
func (r *Recorder) refusedLoader(ctx context.Context, old *attempt, b bootSeen) error {
	if old == nil || !old.whole || old.followed || b.client.Arch == ArchBIOS {
		return nil
	}
	next := r.table.reject(b.client.MAC, old.boot.client.Arch, old.chain)
	r.count(&inventory.Sighting{MAC: b.client.MAC, Kind: inventory.SawChainRejected, Detail: old.file, Count: 1, First: b.at, Last: b.at})
	if !r.table.Known(b.client.MAC) {
		return nil
	}
	return r.tell(ctx, b.client.MAC, inventory.BootRejected{File: old.file, Next: next, Arch: old.boot.client.Arch})
}

// settle is how soon after a whole fetch another DISCOVER says nothing yet.
const settle = 2 * time.Second

// same reports whether a DISCOVER goes on with this attempt. Another architecture is the
// firmware's next way to boot.
func (a *attempt) same(b bootSeen) bool {
	if a == nil || a.boot.client.Arch != b.client.Arch {
		return false
	}
	if a.whole {
		return b.at.Sub(a.last) < settle
	}
	return a.chain == b.offer.Chain && b.at.Sub(a.last) < sameBoot
}

// bound drops attempts of the longest silent clients when there are too many.
func (r *Recorder) bound() {
	if len(r.attempts) < maxAttempts {
		return
	}
	for mac, a := range r.attempts {
		if r.now().Sub(a.last) > sameBoot || !r.table.Known(mac) {
			delete(r.attempts, mac)
		}
		if len(r.attempts) < maxAttempts*3/4 {
			return
		}
	}
}

func (a *attempt) started() inventory.BootStarted {
	c := a.boot.client
	return inventory.BootStarted{Attempt: a.id, MAC: c.MAC, Arch: c.Arch, Client: ArchName(c.Arch), Chain: a.chain, File: a.file,
		Network: c.Network, Relay: c.Relay, Nothing: a.boot.offer.Nothing}
}

// optional reports files that shim (revocation lists, certificates) and GRUB (command
// lists, fonts, its configuration by address) ask for on the chance that they are there.
func optional(name string) bool {
	base := lastPart(name)
	for _, prefix := range []string{"revocations", "shim_certificate", "grub.cfg-"} {
		if strings.HasPrefix(base, prefix) {
			return true
		}
	}
	return strings.HasPrefix(name, "grub/x86_64-efi/") || strings.HasPrefix(name, "grub/arm64-efi/") || strings.HasSuffix(base, ".lst")
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// fileEnded records a transfer and makes a machine of a client that nobody knew.
func (r *Recorder) fileEnded(ctx context.Context, f FileSeen) error {
	mac := r.whose(f)
	if mac == "" || (f.Outcome == inventory.FileNotFound && optional(f.File)) {
		return nil
	}
	r.count(fileSighting(mac, f))
	a := r.attempts[mac]
	if a == nil {
		r.bound()
		a = &attempt{id: newAttemptID(), file: f.File, last: f.At, files: map[string]inventory.FileOutcome{}, told: true}
		r.attempts[mac] = a
	}
	a.last = f.At
	if f.File != a.file {
		a.followed = true
	} else if f.Outcome == inventory.FileDone {
		a.whole = true
	}
	if f.Outcome == inventory.FileProbe || a.files[f.File] == f.Outcome {
		return nil
	}
	if len(a.files) >= maxFiles {
		return nil
	}
	a.files[f.File] = f.Outcome
	if err := r.discovered(ctx, mac, a); err != nil {
		return err
	}
	f.Attempt = a.id
	return r.tell(ctx, mac, f.BootFile)
}

// whose finds the client of a transfer: by path, by the last path from that address,
// or by the neighbour table.
func (r *Recorder) whose(f FileSeen) inventory.MAC {
	if f.MAC != "" {
		if len(r.byIP) > maxAttempts {
			clear(r.byIP)
		}
		r.byIP[f.Client] = f.MAC
		return f.MAC
	}
	if r.Neighbour != nil {
		if mac, ok := r.Neighbour(f.Client); ok {
			return mac
		}
	}
	return r.byIP[f.Client]
}

func fileSighting(mac inventory.MAC, f FileSeen) *inventory.Sighting {
	kinds := map[inventory.FileOutcome]inventory.SightingKind{inventory.FileDone: inventory.SawFileDone, inventory.FileStopped: inventory.SawFileStopped,
		inventory.FileNotFound: inventory.SawFileNotFound, inventory.FileProbe: inventory.SawFileProbe}
	return &inventory.Sighting{MAC: mac, Kind: kinds[f.Outcome], Detail: f.File, Count: 1, First: f.At, Last: f.At,
		Values: inventory.SightingValues{Protocol: f.Protocol, Block: f.Block, Bytes: f.Bytes, TotalBytes: f.TotalBytes, Error: f.Error, IP: f.Client.String()}}
}

// discovered makes the machine if there is none, and puts the start of the attempt into
// its timeline.
func (r *Recorder) discovered(ctx context.Context, mac inventory.MAC, a *attempt) error {
	if !r.table.Known(mac) {
		if err := r.discover(ctx, mac, a); err != nil {
			return err
		}
	}
	if a.told {
		return nil
	}
	a.told = true
	return r.tellAt(ctx, mac, a.boot.at, a.started())
}

func (r *Recorder) discover(ctx context.Context, mac inventory.MAC, a *attempt) error {
	if r.table.waiting() >= maxDiscovered {
		r.log.Warn("too many machines wait for approval: this one is only counted", "mac", mac, "limit", maxDiscovered)
		return nil
	}
	m := inventory.NewMachine(mac, r.now())
	m.Identity.UUID = a.boot.client.UUID
	m.Identity = m.Identity.Trusted()
	made := false
	err := r.store.Update(ctx, func(x inventory.Tx) error {
		like, err := x.MachinesLike(ctx, m.Identity)
		if err != nil || len(like) > 0 {
			made = false
			return err
		}
		made = true
		if err := x.PutMachine(ctx, m); err != nil {
			return err
		}
		return addEvent(ctx, x, m, r.now(), inventory.Seen{MAC: mac, By: "network boot"})
	})
	if err == nil && made {
		r.table.Put(m)
	}
	return err
}

// scriptServed records what a machine was told.
func (r *Recorder) scriptServed(ctx context.Context, s scriptSeen) error {
	if a := r.attempts[s.mac]; a != nil {
		a.followed, a.last = true, s.at
	}
	r.count(&inventory.Sighting{MAC: s.mac, Kind: inventory.SawScript, Detail: s.name, Count: 1, First: s.at, Last: s.at,
		Values: inventory.SightingValues{Answer: s.script.Answer}})
	a := r.attempts[s.mac]
	if a == nil {
		r.bound()
		a = &attempt{id: newAttemptID(), last: s.at, files: map[string]inventory.FileOutcome{}, told: true}
		r.attempts[s.mac] = a
	}
	if err := r.discovered(ctx, s.mac, a); err != nil {
		return err
	}
	return r.tell(ctx, s.mac, inventory.BootScript{Attempt: a.id, Script: s.name, Answer: s.script.Answer, Why: s.script.Why})
}

// tell puts an event into the machine's timeline.
func (r *Recorder) tell(ctx context.Context, mac inventory.MAC, p inventory.Payload) error {
	return r.tellAt(ctx, mac, r.now(), p)
}

// tellAt is tell for what happened before it was known to matter.
func (r *Recorder) tellAt(ctx context.Context, mac inventory.MAC, at time.Time, p inventory.Payload) error {
	return r.store.Update(ctx, func(x inventory.Tx) error {
		like, err := x.MachinesLike(ctx, inventory.Identity{MACs: []inventory.MAC{mac}})
		if err != nil || len(like) == 0 {
			return err
		}
		return addEvent(ctx, x, like[0], at, p)
	})
}

func addEvent(ctx context.Context, x inventory.Tx, m *inventory.Machine, now time.Time, p inventory.Payload) error {
	e, err := inventory.NewEvent(m, now, p)
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}

package netboot

import (
	"context"
	"crypto/rand"
	"time"

	"ingot/inventory"
)

// attempt is one network boot of one client.
type attempt struct {
	id    string
	boot  bootSeen
	file  string
	chain inventory.BootChain
	// whole is set when the loader went out whole; followed when anything came after.
	whole, followed bool
	// told is set when the machine's timeline has the start of it.
	told  bool
	files map[string]inventory.FileOutcome
	last  time.Time
}

func newAttemptID() string { return rand.Text()[:10] }

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

package netboot

import (
	"net/netip"
	"time"

	"ingot/inventory"
)

// observation is one thing to record; exactly one field is set.
type observation struct {
	sighting *inventory.Sighting
	boot     *bootSeen
	file     *FileSeen
	script   *scriptSeen
}

type bootSeen struct {
	client Client
	class  string
	offer  Offer
	at     time.Time
}

type scriptSeen struct {
	mac    inventory.MAC
	name   string
	script Script
	at     time.Time
}

// FileSeen is the end of a transfer of a boot file.
type FileSeen struct {
	// MAC is from the path; empty when the path had none, and found by Client then.
	MAC    inventory.MAC
	Client netip.Addr
	inventory.BootFile
	At time.Time
}

// Saw records a sighting. It never blocks. In a flood those of unknown MACs are left out.
func (r *Recorder) Saw(s inventory.Sighting) {
	if r.full.Load() && !r.table.Known(s.MAC) {
		return
	}
	seen := s // what is left out is not worth an allocation
	r.put(observation{sighting: &seen})
}

// SawBoot records that a client asked to boot and what it was offered.
func (r *Recorder) SawBoot(c Client, class string, o Offer) {
	r.put(observation{boot: &bootSeen{client: c, class: class, offer: o, at: r.now()}})
}

// SawFile records the end of a transfer; a zero time is now.
func (r *Recorder) SawFile(f FileSeen) {
	if f.At.IsZero() {
		f.At = r.now()
	}
	r.put(observation{file: &f})
}

// SawScript records that a script was served.
func (r *Recorder) SawScript(mac inventory.MAC, name string, s Script) {
	r.put(observation{script: &scriptSeen{mac: mac, name: name, script: s, at: r.now()}})
}

func (r *Recorder) put(o observation) {
	select {
	case r.queue <- o:
	default:
	}
}

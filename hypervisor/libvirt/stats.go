package libvirt

import (
	"context"
	"strings"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
)

// stats is what a domain is doing, and how large its disks are by target ("vda").
type stats struct {
	power hypervisor.PowerState
	sizes map[string]int64
}

// stats asks for those of many domains in one call. What a domain would have to be waited
// for is left out; nil is for all of the host. What the pool says of a volume would be old once it grew in use.
func (d *Driver) stats(ctx context.Context, domains []lv.Domain) (map[lv.UUID]stats, error) {
	records, err := ask(ctx, d.link, "state of domains", func(r *lv.Libvirt) ([]lv.DomainStatsRecord, error) {
		return r.ConnectGetAllDomainStats(domains, uint32(lv.DomainStatsState|lv.DomainStatsBlock), uint32(lv.ConnectGetAllDomainsStatsNowait))
	})
	if err != nil {
		return nil, err
	}
	all := map[lv.UUID]stats{}
	for _, r := range records {
		all[r.Dom.UUID] = statsOf(r.Params)
	}
	return all, nil
}

// statsOf reads "state.state", "block.0.name" and "block.0.capacity" (virDomainListGetStats).
func statsOf(params []lv.TypedParam) stats {
	s := stats{power: hypervisor.On, sizes: map[string]int64{}}
	names, sizes := map[string]string{}, map[string]int64{}
	for _, p := range params {
		number, isBlock := strings.CutPrefix(p.Field, "block.")
		number, field, _ := strings.Cut(number, ".")
		switch v := p.Value.I.(type) {
		case int32:
			if p.Field == "state.state" {
				s.power = powerOf(v)
			}
		case string:
			if isBlock && field == "name" {
				names[number] = v
			}
		case uint64:
			if isBlock && field == "capacity" {
				sizes[number] = int64(v)
			}
		}
	}
	for number, name := range names {
		s.sizes[name] = sizes[number]
	}
	return s
}

// powerOf is a virDomainState. A domain that is on its way down still runs.
func powerOf(state int32) hypervisor.PowerState {
	switch lv.DomainState(state) {
	case lv.DomainShutoff:
		return hypervisor.Off
	case lv.DomainPaused, lv.DomainPmsuspended:
		return hypervisor.Paused
	case lv.DomainCrashed:
		return hypervisor.Crashed
	}
	return hypervisor.On
}

// power asks for one domain's.
func (d *Driver) power(ctx context.Context, dom lv.Domain) (hypervisor.PowerState, error) {
	state, err := ask(ctx, d.link, "state of domain "+dom.Name, func(r *lv.Libvirt) (int32, error) {
		state, _, err := r.DomainGetState(dom, 0)
		return state, err
	})
	return powerOf(state), err
}

package libvirt

import (
	"context"
	"sync"
)

const (
	// laneCalls are the calls of one connection that libvirtd works on at a time, less one
	// for the sign of life (max_client_requests in libvirtd.conf is 5).
	laneCalls = 4
	// lanesMax times laneCalls are libvirtd's workers (max_workers is 20).
	lanesMax = 5
)

// lanes are connections for calls that take long: starting a machine takes a second and
// more, and five of them on one connection would hold up everything else. They are made
// when they are needed.
type lanes struct {
	main *link

	mu   sync.Mutex
	all  []*lane
	over bool
}

type lane struct {
	link *link
	busy int
}

// take returns the first connection that has room, or the one that is least in use.
func (l *lanes) take() (*link, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.least()
	if (one == nil || one.busy >= laneCalls) && len(l.all) < lanesMax && !l.over {
		one = &lane{link: newLink(l.main.dial, l.main.uri)}
		one.link.tamper = l.main.tamper
		l.all = append(l.all, one)
	}
	if one == nil {
		return l.main, func() {} // closed: the call says so
	}
	one.busy++
	return one.link, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		one.busy--
	}
}

func (l *lanes) least() (least *lane) {
	for _, one := range l.all {
		if one.busy < laneCalls {
			return one
		}
		if least == nil || one.busy < least.busy {
			least = one
		}
	}
	return least
}

func (l *lanes) links() (all []*link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		all = append(all, one.link)
	}
	return all
}

// settle waits for the changes that were left on any of them.
func (l *lanes) settle(ctx context.Context) error {
	for _, one := range append(l.links(), l.main) {
		if err := one.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends them all.
func (l *lanes) close() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	for _, one := range append(l.links(), l.main) {
		one.close()
	}
}

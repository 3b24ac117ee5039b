package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// Probing is how to look for other servers. The zero value is three DISCOVERs in 30
// seconds.
type Probing struct {
	Tries  int
	Within time.Duration
	// After nil means time.After.
	After func(time.Duration) <-chan time.Time
}

// ProbeServers sends DISCOVERs on an interface and returns the servers that give
// addresses there, as soon as it hears one; none is an empty result after all tries.
func ProbeServers(ctx context.Context, ifname string, p Probing) ([]OtherServer, error) {
	sniffer, err := OpenSniffer(ifname)
	if err != nil {
		return nil, err
	}
	found, err := Probe(ctx, sniffer, p)
	if err != nil {
		return nil, fmt.Errorf("probe %s for DHCP servers: %w", ifname, err)
	}
	return found, nil
}

// Probe is ProbeServers on a sniffer, which it closes.
func Probe(ctx context.Context, sniffer Sniffer, p Probing) ([]OtherServer, error) {
	if p.Tries == 0 {
		p.Tries = 3
	}
	if p.Within == 0 {
		p.Within = 30 * time.Second
	}
	if p.After == nil {
		p.After = time.After
	}
	heard := make(chan OtherServer, 16)
	var listening errgroup.Group
	listening.Go(func() error { defer close(heard); return listen(sniffer, heard) })
	found, err := ask(ctx, sniffer, p, heard)
	err = errors.Join(err, sniffer.Close())
	for o := range heard {
		found = append(found, o)
	}
	return found, errors.Join(err, listening.Wait())
}

func ask(ctx context.Context, sniffer Sniffer, p Probing, heard <-chan OtherServer) ([]OtherServer, error) {
	for range p.Tries {
		if err := sniffer.Discover(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case o, ok := <-heard:
			if ok {
				return []OtherServer{o}, nil
			}
			return nil, fmt.Errorf("listening ended early")
		case <-p.After(p.Within / time.Duration(p.Tries)):
		}
	}
	return nil, nil
}

// listen passes on servers that give addresses; what finds no place is dropped.
func listen(sniffer Sniffer, heard chan<- OtherServer) error {
	for {
		o, err := sniffer.Next()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if !o.Given.IsValid() {
			continue
		}
		select {
		case heard <- o:
		default:
		}
	}
}

package vsphere

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"github.com/vmware/govmomi/vim25/soap"

	"ingot/hypervisor"
)

// Diagnose looks at a server before there is a driver, in the order in which first contact
// fails: reach it, trust it, log in, find the place to work; and then what Check looks at.
// The error is for a context that ended.
func Diagnose(ctx context.Context, c Config) ([]hypervisor.Finding, error) {
	full, t, err := c.parse()
	if err != nil {
		return []hypervisor.Finding{failed("address", err, "correct it")}, nil
	}
	found := contact(ctx, full, t)
	if found[len(found)-1].Level == hypervisor.Failed {
		return found, ctx.Err()
	}
	d, obstacle := meet(ctx, full, t)
	if d == nil {
		return append(found, obstacle), ctx.Err()
	}
	defer d.Close()
	return append(found, d.findings(ctx)...), ctx.Err()
}

// meet is Open with what is in the way of it as a finding. One login is tried, so that a
// wrong password counts once at a server that locks accounts.
func meet(ctx context.Context, c Config, t target) (*Driver, hypervisor.Finding) {
	client, err := dialled(ctx, c, t)
	if err != nil {
		return nil, failed("API", err, "is it a vCenter Server or an ESXi host? Look at name and port")
	}
	s, err := logIn(ctx, client, c, t)
	if err != nil {
		return nil, failed("login", err, "correct the user in the address, or give the password again")
	}
	d, err := settle(ctx, client, s, c, t)
	if err != nil {
		return nil, failed("place", err, "name datacenter and cluster or host in the address, and the datastore apart")
	}
	return d, hypervisor.Finding{}
}

// contact reaches the server and looks at its certificate.
func contact(ctx context.Context, c Config, t target) []hypervisor.Finding {
	addr := withPort(t.sdk.Host)
	short, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(short, "tcp", addr)
	if err != nil {
		return []hypervisor.Finding{failed("reach", err, "look at the name, the route and the firewall (TCP "+portOf(addr)+"), and whether it runs")}
	}
	conn.Close()
	found := []hypervisor.Finding{fine("reach", "%s answers", addr)}
	return append(found, certificate(short, c, addr))
}

// portOf is the port of an address that has one.
func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func certificate(ctx context.Context, c Config, addr string) hypervisor.Finding {
	secure, err := pins{server: addr, thumbprint: c.Thumbprint, hosts: func(string) string { return "" }}.dial(ctx, "tcp", addr)
	if err == nil {
		defer secure.Close()
		how := "a CA of this system vouches for it"
		if c.Thumbprint != "" {
			how = "it is the pinned one"
		}
		return fine("certificate", "%s; it has the thumbprint %s", how, thumbprintOf(secure))
	}
	bare, dialErr := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", addr)
	if dialErr != nil {
		return failed("certificate", err, "no TLS there: look at the port")
	}
	defer bare.Close()
	print := thumbprintOf(bare)
	if errors.Is(err, errThumbprint) {
		return failed("certificate", err, "if the server got a new certificate, pin "+print+"; else somebody is in between")
	}
	return failed("certificate", err, "compare at the server's console, and then pin the thumbprint "+print)
}

func thumbprintOf(conn net.Conn) string {
	return soap.ThumbprintSHA256(conn.(*tls.Conn).ConnectionState().PeerCertificates[0])
}

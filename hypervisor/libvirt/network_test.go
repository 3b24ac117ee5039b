package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ingot/hypervisor"
	"ingot/inventory"
)

// network defines a network that can't be started in session mode and need not be.
func (d *daemon) network(t *testing.T, name, more string) {
	t.Helper()
	l := newLink(unixDialer(true, d.socket), "qemu:///session")
	defer l.close()
	n, err := change(t.Context(), l, "define network", func(r *lv.Libvirt) (lv.Network, error) {
		return r.NetworkDefineXML("<network><name>" + name + "</name><forward mode='bridge'/><bridge name='br-" + name + "'/>" + more + "</network>")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l := newLink(unixDialer(true, d.socket), "qemu:///session")
		defer l.close()
		if err := do(context.Background(), l, "undefine network", func(r *lv.Libvirt) error { return r.NetworkUndefine(n) }); err != nil {
			t.Error(err)
		}
	})
}

func TestNetworks(t *testing.T) {
	host := needDaemon(t)
	d := host.open(t, "networks")
	host.network(t, "plain", "")
	host.network(t, "switched", "<virtualport type='openvswitch'/>")
	for _, test := range []struct {
		spec hypervisor.NICSpec
		want string
		err  error
	}{
		{hypervisor.NICSpec{}, "user", nil},
		{hypervisor.NICSpec{Network: "user"}, "user", nil},
		{hypervisor.NICSpec{Network: "user", VLAN: 7}, "", inventory.ErrUnsupported},
		{hypervisor.NICSpec{Network: "bridge:br0"}, "bridge:br0", nil},
		{hypervisor.NICSpec{Network: "bridge:br0", VLAN: 7}, "", inventory.ErrUnsupported},
		{hypervisor.NICSpec{Network: "plain"}, "plain", nil},
		{hypervisor.NICSpec{Network: "plain", VLAN: 7}, "", inventory.ErrUnsupported},
		{hypervisor.NICSpec{Network: "switched", VLAN: 7}, "switched", nil},
		{hypervisor.NICSpec{Network: "none"}, "", inventory.ErrNotFound},
	} {
		nics, err := d.nics(t.Context(), []hypervisor.NICSpec{test.spec})
		if !errors.Is(err, test.err) {
			t.Errorf("%+v: %v, want %v", test.spec, err, test.err)
		}
		if test.err == nil && (len(nics) != 1 || networkName(nics[0].Source) != test.want || (nics[0].VLan != nil) != (test.spec.VLAN != 0)) {
			t.Errorf("%+v became %+v", test.spec, nics)
		}
	}
	for network, want := range map[string]string{"": "10.0.2.2", "user": "10.0.2.2", "bridge:lo": "127.0.0.1", "bridge:none": "", "none": ""} {
		got, err := d.Reach(t.Context(), network)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("guests on %q reach this computer at %v, %v; want %q", network, got, err, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	nics := []hypervisor.VMNIC{{MAC: "52:54:00:00:00:01"}, {MAC: "52:54:00:00:00:02"}, {}}
	fillAddresses(nics, []lv.DomainInterface{
		{Name: "lo", Hwaddr: lv.OptString{"00:00:00:00:00:00"}, Addrs: []lv.DomainIPAddr{{Addr: "127.0.0.1"}, {Addr: "::1"}}},
		{Name: "eth0", Hwaddr: lv.OptString{"52:54:00:00:00:01"}, Addrs: []lv.DomainIPAddr{{Addr: "fe80::1"}, {Addr: "192.0.2.1"}, {Addr: "169.254.0.1"}, {Addr: "garbage"}}},
		{Name: "tun0"},
	}, hypervisor.FromAgent)
	if !lacksAddress(nics) {
		t.Error("the second NIC has no address and is not asked for any more")
	}
	fillAddresses(nics, []lv.DomainInterface{
		{Hwaddr: lv.OptString{"52:54:00:00:00:01"}, Addrs: []lv.DomainIPAddr{{Addr: "192.0.2.11"}}},
		{Hwaddr: lv.OptString{"52:54:00:00:00:02"}, Addrs: []lv.DomainIPAddr{{Addr: "2001:db8::2"}}},
	}, hypervisor.FromLease)
	want := []hypervisor.VMNIC{
		{MAC: "52:54:00:00:00:01", Addresses: []hypervisor.Address{{IP: netip.MustParseAddr("192.0.2.1"), Source: hypervisor.FromAgent}}},
		{MAC: "52:54:00:00:00:02", Addresses: []hypervisor.Address{{IP: netip.MustParseAddr("2001:db8::2"), Source: hypervisor.FromLease}}},
		{},
	}
	if diff := cmp.Diff(want, nics, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	for url, ok := range map[string]bool{
		"qemu:///system": true, "qemu:///session": true, "qemu+unix:///system?socket=/x": true, "qemu+ssh://me@host:2222/system": true,
		"qemu+tls://host/system": true, "qemu://host/system": true, "qemu+ssh://host/session": true,
		"qemu+ssh:///system": false, "qemu+tcp://host/system": false, "xen:///system": false, "qemu:///other": false, "": false, "qemu://%zz": false,
	} {
		if _, err := parse(Config{URL: url}); ok != (err == nil) || err != nil && !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := Open(t.Context(), Config{URL: "qemu:///system"}); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("without an owner: %v", err)
	}
}

func TestDomainNames(t *testing.T) {
	const uuid = "2cf4b9f6-889e-532f-b6fb-cee8a1a61571"
	for name, want := range map[string][]string{
		"web":                    {"web", "web-2cf4b9f6-889e"},
		"日本":                     {"2cf4b9f6-889e"},
		"-rf":                    {"rf-2cf4b9f6-889e"},
		"..":                     {"2cf4b9f6-889e"},
		strings.Repeat("n", 200): {strings.Repeat("n", 40) + "-2cf4b9f6-889e"},
	} {
		if diff := cmp.Diff(want, domainNames(name, uuid)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", name, diff)
		}
	}
	for name, plain := range map[string]bool{"before": true, "7": false, `after "it"`: false, "": false, ".x": false, "a/b": false, "_x": false} {
		if got := snapshotName(name); plain != (got == name) || len(got) > 63 || strings.ContainsAny(got, `/"`) {
			t.Errorf("snapshot %q is called %q", name, got)
		}
	}
}

// countedConn counts requests: the binding writes each at once.
type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(b)
}

// TestList makes many machines and counts the calls that listing them takes.
func TestList(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "list")
	const machines = 30
	for i := range machines {
		if _, err := d.Create(t.Context(), spec(fmt.Sprintf("m-list%02d", i), "list", image)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.link.session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	dial := d.link.dial
	d.link.dial = func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		return countedConn{conn, &requests}, err
	}
	s.close()
	if _, err := d.Get(t.Context(), "m-list00"); err != nil {
		t.Fatal(err)
	}
	before, began := requests.Load(), time.Now()
	all, err := d.List(t.Context())
	if err != nil || len(all) != machines || all[7].ID != "m-list07" || all[7].Disks[0].SizeBytes != imageBytes || all[7].Power != hypervisor.Off {
		t.Errorf("%d machines, %v", len(all), err)
	}
	if calls := requests.Load() - before; calls > machines+2 {
		t.Errorf("%d calls for %d machines", calls, machines)
	}
	t.Logf("%d machines listed in %v", machines, time.Since(began))
}

package dhcp

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ingot/inventory"
)

// serveHere runs a real Server on interfaces of this namespace until the test ends.
func serveHere(t *testing.T, r *rig, ifnames ...string) {
	t.Helper()
	cfg := r.s.cfg
	cfg.Prober, cfg.Now, cfg.WatchEvery = nil, time.Now, 300*time.Millisecond
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.s.mu.Lock()
	var networks []inventory.Network
	for _, b := range r.s.books {
		networks = append(networks, *b.net)
	}
	r.s.mu.Unlock()
	s.SetNetworks(networks)
	r.s = s
	var links []*Link
	for _, name := range ifnames {
		l, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, links...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func dhclient(t *testing.T, h *host, ifname string, args ...string) map[string]string {
	t.Helper()
	path, result := script(t)
	dir := filepath.Dir(path)
	args = append([]string{"dhclient", "-4", "-1", "-v", "-sf", path, "-lf", filepath.Join(dir, "leases"),
		"-pf", filepath.Join(dir, "pid"), "-cf", "/dev/null"}, append(args, ifname)...)
	t.Cleanup(func() { _ = h.command("pkill", "-F", filepath.Join(dir, "pid")).Run() })
	t.Log(h.run(args...))
	return variables(t, result)
}

func udhcpc(t *testing.T, h *host, ifname string, args ...string) map[string]string {
	t.Helper()
	path, result := script(t)
	t.Log(h.run(append([]string{"udhcpc", "-i", ifname, "-n", "-q", "-f", "-s", path}, args...)...))
	return variables(t, result)
}

func labServices(n *inventory.Network) {
	n.DNS = []netip.Addr{netip.MustParseAddr("10.0.0.53")}
	n.NTP = []netip.Addr{netip.MustParseAddr("10.0.0.123")}
	n.Domain = "lab.example"
	n.Routes = []inventory.Route{{To: netip.MustParsePrefix("10.77.0.0/16"), Via: netip.MustParseAddr("10.0.0.7")}}
}

func TestRealClients(t *testing.T) {
	t.Parallel()
	if !inNamespace(t, "dhclient", "udhcpc") {
		return
	}
	client := newHost(t)
	client.cable("boot0", "eth0")
	sh(t, "ip", "addr", "add", "10.0.0.1/24", "dev", "boot0")
	r := newRig(t, lab(inventory.DHCPAuthoritative, labServices))
	serveHere(t, r, "boot0")

	vars := udhcpc(t, client, "eth0", "-O", "ntpsrv", "-O", "staticroutes", "-x", "hostname:node7")
	for name, want := range map[string]string{"ip": "10.0.0.100", "mask": "24", "router": "10.0.0.254", "dns": "10.0.0.53",
		"ntpsrv": "10.0.0.123", "domain": "lab.example", "lease": "3600", "serverid": "10.0.0.1",
		"staticroutes": "10.77.0.0/16 10.0.0.7 0.0.0.0/0 10.0.0.254"} {
		if vars[name] != want {
			t.Errorf("udhcpc: %s is %q, want %q", name, vars[name], want)
		}
	}
	row := r.row("10.0.0.100")
	if row.Hostname != "node7" || row.Use != inventory.AddressLeased {
		t.Errorf("stored %+v", row)
	}
	client.run("ip", "addr", "flush", "dev", "eth0")
	vars = dhclient(t, client, "eth0")
	for name, want := range map[string]string{"new_ip_address": "10.0.0.100", "new_subnet_mask": "255.255.255.0",
		"new_routers": "10.0.0.254", "new_domain_name_servers": "10.0.0.53", "new_dhcp_lease_time": "3600"} {
		if vars[name] != want {
			t.Errorf("dhclient: %s is %q, want %q (the same MAC keeps its address)", name, vars[name], want)
		}
	}
}

// row returns what is stored for an address, while the server runs.
func (r *rig) row(s string) inventory.Address {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rows[ip(s)]
}

// eventually waits until the test's server says yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); !yes(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("timed out: %s", what)
		}
	}
}

// TestRealRelay: a client of another subnet, through dhcrelay with option 82; the
// address probe goes through the router.
func TestRealRelay(t *testing.T) {
	t.Parallel()
	if !inNamespace(t, "dhcrelay", "udhcpc", "dhclient") {
		return
	}
	relay, client := newHost(t), newHost(t)
	relay.cable("boot0", "up0")
	sh(t, "ip", "addr", "add", "10.0.0.1/24", "dev", "boot0")
	sh(t, "ip", "route", "add", "10.5.0.0/16", "via", "10.0.0.3")
	relay.run("ip", "addr", "add", "10.0.0.3/24", "dev", "up0")
	relay.run("ip", "link", "add", "down0", "type", "veth", "peer", "name", "eth0", "netns", client.pid)
	relay.run("ip", "addr", "add", "10.5.0.1/16", "dev", "down0")
	relay.run("ip", "link", "set", "down0", "up")
	client.run("ip", "link", "set", "eth0", "up")
	relay.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
	relay.run("ip", "addr", "add", "10.5.1.0/16", "dev", "down0") // somebody uses the pool's first

	far := inventory.Network{Name: "far", Subnet: netip.MustParsePrefix("10.5.0.0/16"), Gateway: ip("10.5.0.1"),
		DHCP: inventory.DHCPAuthoritative, AnyClient: true, LeaseTime: 8 * time.Second,
		Pools: []inventory.AddressRange{{First: ip("10.5.1.0"), Last: ip("10.5.1.9")}}}
	r := newRig(t, far)
	serveHere(t, r, "boot0")
	relay.start("Sending on   Socket/fallback", "dhcrelay", "-4", "-d", "--no-pid", "-a", "-id", "down0", "-iu", "up0", "10.0.0.1")
	vars := udhcpc(t, client, "eth0")
	if vars["ip"] != "10.5.1.1" || vars["router"] != "10.5.0.1" || vars["mask"] != "16" {
		t.Errorf("udhcpc: ip %s, router %s, mask %s", vars["ip"], vars["router"], vars["mask"])
	}
	if got := r.row("10.5.1.0"); got.Use != inventory.AddressQuarantined {
		t.Errorf("the address in use is %+v", got)
	}
	client.run("ip", "addr", "flush", "dev", "eth0")
	vars = dhclient(t, client, "eth0")
	if vars["new_ip_address"] != "10.5.1.1" {
		t.Errorf("dhclient: %v", vars["new_ip_address"])
	}
	first := r.row("10.5.1.1").Expires
	client.run("ip", "route", "replace", "default", "via", "10.5.0.1", "dev", "eth0", "onlink")
	eventually(t, "the lease is renewed, through the router", func() bool { return r.row("10.5.1.1").Expires.After(first) })
}

// TestRealOtherServer: dnsmasq on the same link is found by the probe, and pauses new
// leases while it runs.
func TestRealOtherServer(t *testing.T) {
	t.Parallel()
	if !inNamespace(t, "dnsmasq") {
		return
	}
	other := newHost(t)
	other.cable("boot0", "eth0")
	sh(t, "ip", "addr", "add", "10.0.0.1/24", "dev", "boot0")
	other.run("ip", "addr", "add", "10.0.0.2/24", "dev", "eth0")
	quick := Probing{Within: 600 * time.Millisecond}
	found, err := ProbeServers(t.Context(), "boot0", quick)
	if err != nil || len(found) != 0 {
		t.Fatalf("empty link: %v, %v", found, err)
	}
	ground, err := ReadGround("boot0")
	if err != nil || ground != (Ground{Static: true}) {
		t.Errorf("ground %+v, %v", ground, err)
	}
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	serveHere(t, r, "boot0")
	dnsmasq := other.start("DHCP, IP range", "dnsmasq", "-k", "--pid-file=", "--conf-file=/dev/null", "--port=0", "--log-facility=-",
		"--interface=eth0", "--bind-interfaces", "--dhcp-range=10.0.0.200,10.0.0.210,1h", "--dhcp-leasefile="+t.TempDir()+"/leases",
		"--user=root", "--no-ping")
	found, err = ProbeServers(t.Context(), "boot0", Probing{Within: 10 * time.Second})
	if err != nil || len(found) != 1 || found[0].IP != ip("10.0.0.2") {
		t.Fatalf("beside dnsmasq: %v, %v", found, err)
	}
	paused := func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return r.s.pausedBy("lab", time.Now()).IsValid()
	}
	eventually(t, "new leases are paused", paused)
	if err := dnsmasq.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "leases are given again", func() bool { return !paused() })
}

// TestBesideLibvirt: a DHCP server bound to another bridge of this host, as libvirt has
// it, keeps its clients, and we have ours; whichever starts first.
func TestBesideLibvirt(t *testing.T) {
	for name, first := range map[string]bool{"libvirt is there": false, "libvirt comes": true} {
		t.Run(name, func(t *testing.T) { besideLibvirt(t, first) })
	}
}

func besideLibvirt(t *testing.T, first bool) {
	t.Parallel()
	if !inNamespace(t, "dnsmasq", "udhcpc") {
		return
	}
	ours, theirs := newHost(t), newHost(t)
	sh(t, "ip", "link", "set", "lo", "up")
	for bridge, h := range map[string]*host{"virbr0": theirs, "boot0": ours} {
		sh(t, "ip", "link", "add", bridge, "type", "bridge")
		sh(t, "ip", "link", "set", bridge, "up")
		h.cable(bridge+"p", "eth0")
		sh(t, "ip", "link", "set", bridge+"p", "master", bridge)
	}
	sh(t, "ip", "addr", "add", "10.0.0.1/24", "dev", "boot0")
	sh(t, "ip", "addr", "add", "192.168.122.1/24", "dev", "virbr0")
	dnsmasq := exec.Command("dnsmasq", "-k", "--pid-file=", "--conf-file=/dev/null", "--port=0", "--log-facility=-", "--interface=virbr0",
		"--except-interface=lo", "--bind-dynamic", "--dhcp-range=192.168.122.2,192.168.122.99", "--dhcp-leasefile="+t.TempDir()+"/leases",
		"--user=root", "--no-ping", "--dhcp-authoritative")
	if !first {
		startDaemon(t, dnsmasq, "DHCP, IP range")
	}
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	serveHere(t, r, "boot0")
	if first {
		startDaemon(t, dnsmasq, "DHCP, IP range")
	}
	if got := udhcpc(t, ours, "eth0")["serverid"]; got != "10.0.0.1" {
		t.Errorf("our client was served by %s", got)
	}
	if got := udhcpc(t, theirs, "eth0")["serverid"]; got != "192.168.122.1" {
		t.Errorf("their client was served by %s", got)
	}
	r.s.mu.Lock()
	links := r.s.links
	r.s.mu.Unlock()
	if len(links) != 1 || links[0].Shared != "" {
		t.Errorf("link %+v shares its port", links[0].Shared)
	}
	if _, err := Open("boot0"); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("a second server on the same interface: %v, want ErrBusy", err)
	}
}

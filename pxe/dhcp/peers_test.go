package dhcp

import (
	"context"
	"net/netip"
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
	row := r.rows[netip.MustParseAddr("10.0.0.100")]
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

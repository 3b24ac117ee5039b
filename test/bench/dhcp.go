package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// dhcpContests: exchanges of four packets with a fresh MAC each, through a relay, 64
// clients at once. Ingot's leases are durable and its address probe is on.
func dhcpContests(_ context.Context, b *bench) ([]*contest, error) {
	peers, err := b.dhcpPeers()
	if err != nil {
		return nil, err
	}
	c := &contest{title: "DHCP exchanges, 64 clients at once",
		figures: []figure{{"exchanges", "per s", true}, {"p99", "ms", false}},
		targets: []target{{"exchanges", 1.2, "Kea 2.2 (memfile, not durable)"}, {"p99", 1, "Kea 2.2 (memfile, not durable)"}},
		note:    "Ingot's leases are on disk before the ACK leaves, its address probe is on; Kea's memfile does not wait for the disk. The peers' own probes are off."}
	c.contestants = append(c.contestants, contestant{"Ingot (SQLite, durable)", b.dhcpIngot})
	for _, p := range peers {
		c.contestants = append(c.contestants, contestant{p.name, func(ctx context.Context) (values, error) { return p.run(ctx, b) }})
	}
	return []*contest{c}, nil
}

// dhcpConfig gives leases to everybody, as the peers do.
const dhcpConfig = `data: DIR
interfaces: [boot0]
dhcp: authoritative
networks:
  - name: load
    subnet: 10.0.0.0/8
    dhcp: authoritative
    pools: [10.1.0.0-10.250.255.255]
    lease_time: 1h
    any_client: true
`

// dhcpIngot measures ingot serve as it is, with all that it notes of each packet.
func (b *bench) dhcpIngot(ctx context.Context) (v values, err error) {
	data := filepath.Join(b.scratch, "dhcp-data")
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	if _, _, err := b.command(ctx, nil, "cp", "-al", b.data, data); err != nil {
		return nil, err
	}
	config := filepath.Join(b.scratch, "dhcp.yaml")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(dhcpConfig, "DIR", data)), 0o600); err != nil {
		return nil, err
	}
	return b.dhcpLoad(ctx, "exec "+filepath.Join(b.bin, "ingot")+" serve --config "+config, "ingot serve is up")
}

// dhcpPeer is another server, started anew with no leases.
type dhcpPeer struct {
	name, command, ready string
	state                []string
}

func (p dhcpPeer) run(ctx context.Context, b *bench) (values, error) {
	for _, path := range p.state {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	if strings.Contains(p.command, "dhcpd.leases") {
		if err := os.WriteFile(p.state[0], nil, 0o644); err != nil {
			return nil, err
		}
	}
	return b.dhcpLoad(ctx, p.command, p.ready)
}

// dhcpLoad runs the load generator of pxe/dhcp against the server that a command starts.
func (b *bench) dhcpLoad(ctx context.Context, command, ready string) (values, error) {
	seconds := "8"
	if b.quick {
		seconds = "2"
	}
	out, _, err := b.command(ctx, []string{"DHCP_LOAD_SECONDS=" + seconds, "DHCP_LOAD_CLIENTS=64", "DHCP_LOAD_COMMAND=" + command, "DHCP_LOAD_READY=" + ready},
		filepath.Join(b.bin, "dhcp.test"), "-test.run=^TestLoad$", "-test.v")
	if err != nil {
		return nil, err
	}
	_, rest, ok := strings.Cut(out, "load: {")
	if !ok {
		return nil, fmt.Errorf("no result in %q", lastLines(out))
	}
	var r struct {
		Exchanges, Failed int
		PerSecond         float64
		P99               time.Duration
	}
	if err := json.NewDecoder(strings.NewReader("{" + rest)).Decode(&r); err != nil {
		return nil, err
	}
	if r.Exchanges == 0 {
		return nil, fmt.Errorf("no exchange succeeded, %d failed: %s", r.Failed, lastLines(out))
	}
	return values{"exchanges": r.PerSecond, "p99": float64(r.P99) / float64(time.Millisecond)}, nil
}

const keaConfig = `{"Dhcp4": {
 "interfaces-config": {"interfaces": ["boot0"], "dhcp-socket-type": "udp"},
 "multi-threading": {"enable-multi-threading": true, "thread-pool-size": 0, "packet-queue-size": 64},
 "lease-database": {"type": "memfile", "persist": true, "name": "DIR/kea.leases", "lfc-interval": 0},
 "valid-lifetime": 3600,
 "subnet4": [{"id": 1, "subnet": "10.0.0.0/8", "pools": [{"pool": "10.1.0.0-10.250.255.255"}]}],
 "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout"}]},
  {"name": "kea-dhcp4.leases", "severity": "WARN"}, {"name": "kea-dhcp4.packets", "severity": "WARN"}]
}}`

const dhcpdConfig = `authoritative; ping-check false; default-lease-time 3600; max-lease-time 3600;
subnet 10.0.0.0 netmask 255.0.0.0 { range 10.1.0.0 10.1.255.255; }
`

// dhcpPeers writes the peers' configurations.
func (b *bench) dhcpPeers() ([]dhcpPeer, error) {
	dir := b.scratch
	err := errors.Join(os.WriteFile(filepath.Join(dir, "kea.json"), []byte(strings.ReplaceAll(keaConfig, "DIR", dir)), 0o600),
		os.WriteFile(filepath.Join(dir, "dhcpd.conf"), []byte(dhcpdConfig), 0o600))
	return []dhcpPeer{
		{"Kea 2.2 (memfile, not durable)", "export KEA_PIDFILE_DIR=" + dir + " KEA_LOCKFILE_DIR=none; exec " + b.peer("kea-dhcp4") + " -c " + dir + "/kea.json",
			"DHCP4_STARTED", []string{dir + "/kea.leases"}},
		{"dnsmasq", "exec " + b.peer("dnsmasq") + " --no-daemon --conf-file=/dev/null --port=0 --no-ping --dhcp-authoritative --dhcp-lease-max=10000000 --interface=boot0" +
			" --dhcp-range=10.1.0.0,10.250.255.255,1h --dhcp-leasefile=" + dir + "/dnsmasq.leases --user=root", "DHCP, IP range", []string{dir + "/dnsmasq.leases"}},
		{"ISC dhcpd", "exec " + b.peer("dhcpd") + " -4 -d -f -cf " + dir + "/dhcpd.conf -lf " + dir + "/dhcpd.leases -pf " + dir + "/dhcpd.pid boot0",
			"Server starting service", []string{dir + "/dhcpd.leases", dir + "/dhcpd.pid"}},
	}, err
}

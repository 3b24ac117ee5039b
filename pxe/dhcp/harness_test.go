package dhcp

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

var epoch = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// rig is a Server without sockets: packets go into handle, replies come back.
type rig struct {
	t    testing.TB
	s    *Server
	link *Link
	conn *memoryConn

	mu        sync.Mutex
	now       time.Time
	known     map[inventory.MAC]bool
	offer     func(Client) Offer
	clients   []Client
	rows      map[netip.Addr]inventory.Address
	commits   int
	commitErr error
	sightings []inventory.Sighting
	events    []inventory.Payload
	inUse     map[netip.Addr]inventory.MAC
}

func newRig(t testing.TB, networks ...inventory.Network) *rig {
	t.Helper()
	r := &rig{t: t, now: epoch, known: map[inventory.MAC]bool{}, rows: map[netip.Addr]inventory.Address{}, conn: &memoryConn{}}
	r.offer = func(c Client) Offer {
		if c.IsIPXE || c.IsHTTP {
			return Offer{URL: "http://10.0.0.1/boot"}
		}
		return Offer{File: "loader.efi"}
	}
	s, err := New(Config{Booter: r, Machines: r, Leases: r, Observer: r, Announcer: r, Prober: r, Now: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	r.link = &Link{Name: "boot0", MAC: "02:00:00:00:00:01", MTU: 1500, DHCP: r.conn, PXE: r.conn, Frames: r.conn}
	r.link.SetAddrs([]netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")})
	s.links = []*Link{r.link}
	s.SetNetworks(networks)
	r.restock()
	return r
}

// memoryConn keeps what is sent.
type memoryConn struct {
	mu   sync.Mutex
	sent []sentPacket
	// onSend is called before a packet is kept; nil for nothing.
	onSend func()
}

type sentPacket struct {
	data   []byte
	source netip.Addr
	dest   netip.AddrPort
	frame  bool
}

func (c *memoryConn) Read([]byte) (int, netip.AddrPort, netip.Addr, error) {
	return 0, netip.AddrPort{}, netip.Addr{}, net.ErrClosed
}

func (c *memoryConn) Write(b []byte, source netip.Addr, dest netip.AddrPort) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.onSend != nil {
		c.onSend()
	}
	c.sent = append(c.sent, sentPacket{data: slices.Clone(b), source: source, dest: dest})
	return nil
}

func (c *memoryConn) Send(f []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, sentPacket{data: slices.Clone(f), frame: true})
	return nil
}

func (c *memoryConn) Stop() error  { return nil }
func (c *memoryConn) Close() error { return nil }

func (r *rig) clock() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now }
func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}
func (r *rig) Known(mac inventory.MAC) bool { r.mu.Lock(); defer r.mu.Unlock(); return r.known[mac] }
func (r *rig) Boot(_ context.Context, c Client) Offer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients = append(r.clients, c)
	return r.offer(c)
}
func (r *rig) Addresses(context.Context) ([]inventory.Address, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []inventory.Address
	for _, a := range r.rows {
		out = append(out, a)
	}
	return out, nil
}
func (r *rig) Commit(_ context.Context, rows []inventory.Address) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.commitErr != nil {
		return r.commitErr
	}
	r.commits++
	for _, a := range rows {
		r.rows[a.IP] = a
	}
	return nil
}
func (r *rig) Saw(s inventory.Sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sightings = append(r.sightings, s)
}
func (r *rig) Announce(p inventory.Payload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, p)
}
func (r *rig) InUse(_ context.Context, _ *Link, ips []netip.Addr) (map[netip.Addr]inventory.MAC, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[netip.Addr]inventory.MAC{}
	for _, ip := range ips {
		if mac, ok := r.inUse[ip]; ok {
			used[ip] = mac
		}
	}
	return used, nil
}

func (r *rig) restock() {
	for _, b := range r.s.authoritativeBooks() {
		r.s.restock(b, func(ips []netip.Addr) { r.s.probe(context.Background(), b, ips) })
	}
}

// sends delivers a packet and returns the reply, nil for silence.
func (r *rig) sends(p packet) *dhcpv4.DHCPv4 {
	r.t.Helper()
	out, ok := r.sendsRaw(p)
	if !ok {
		return nil
	}
	msg, err := dhcpv4.FromBytes(out.data)
	if err != nil {
		r.t.Fatalf("parse reply: %v", err)
	}
	return msg
}

func (r *rig) sendsRaw(p packet) (sentPacket, bool) {
	r.t.Helper()
	before := len(r.conn.sent)
	r.deliver(inbound{link: r.link, port4011: p.port4011, source: p.from(), dest: p.dest(), data: p.bytes()})
	if len(r.conn.sent) == before {
		return sentPacket{}, false
	}
	out := r.conn.sent[len(r.conn.sent)-1]
	if out.frame {
		out.data = out.data[42:]
	}
	return out, true
}

func (r *rig) deliver(in inbound) {
	out, ok := r.s.handle(context.Background(), in)
	if !ok {
		return
	}
	if len(out.rows) > 0 {
		for _, out := range r.s.commitGroup(context.Background(), []outgoing{out}) {
			r.s.send(out)
		}
	} else {
		r.s.send(out)
	}
}

// lastIgnored is the reason of the last silence.
func (r *rig) lastIgnored() string {
	for i := len(r.sightings) - 1; i >= 0; i-- {
		if r.sightings[i].Kind == inventory.SawIgnored {
			return r.sightings[i].Detail
		}
	}
	return ""
}

// packet describes a client's packet.
type packet struct {
	kind     dhcpv4.MessageType
	mac      string
	ciaddr   string
	giaddr   string
	wanted   string
	server   string
	unicast  string // destination, empty for broadcast
	bcast    bool
	port4011 bool
	opts     map[uint8][]byte
}

const clientMAC = "52:54:00:00:00:0a"

func (p packet) with(code uint8, value string) packet {
	opts := map[uint8][]byte{code: []byte(value)}
	for k, v := range p.opts {
		if k != code {
			opts[k] = v
		}
	}
	p.opts = opts
	return p
}

func (p packet) from() netip.AddrPort {
	ip := netip.IPv4Unspecified()
	if p.ciaddr != "" {
		ip = netip.MustParseAddr(p.ciaddr)
	}
	return netip.AddrPortFrom(ip, clientPort)
}

func (p packet) dest() netip.Addr {
	if p.unicast != "" {
		return netip.MustParseAddr(p.unicast)
	}
	return netip.MustParseAddr("255.255.255.255")
}

func (p packet) bytes() []byte {
	mac := p.mac
	if mac == "" {
		mac = clientMAC
	}
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	msg := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, TransactionID: [4]byte{1, 2, 3, 4}, ClientHWAddr: hw,
		ClientIPAddr: ip4(p.ciaddr), GatewayIPAddr: ip4(p.giaddr), YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{}}
	if p.bcast {
		msg.SetBroadcast()
	}
	msg.Options[53] = []byte{byte(p.kind)}
	if p.wanted != "" {
		msg.Options[50] = ip4(p.wanted)
	}
	if p.server != "" {
		msg.Options[54] = ip4(p.server)
	}
	for code, value := range p.opts {
		msg.Options[code] = value
	}
	return msg.ToBytes()
}

func ip4(s string) net.IP {
	if s == "" {
		return net.IPv4zero.To4()
	}
	return net.ParseIP(s).To4()
}

func lab(mode inventory.DHCPMode, change ...func(*inventory.Network)) inventory.Network {
	n := inventory.Network{Name: "lab", Subnet: netip.MustParsePrefix("10.0.0.0/24"),
		Gateway: netip.MustParseAddr("10.0.0.254"), DHCP: mode, AnyClient: true, LeaseTime: time.Hour,
		Pools: []inventory.AddressRange{{First: netip.MustParseAddr("10.0.0.100"), Last: netip.MustParseAddr("10.0.0.109")}}}
	for _, f := range change {
		f(&n)
	}
	return n
}

func newTestLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func sameAddr(a, b netip.Addr) bool { return a == b }

// scriptedConn receives what a test puts in.
type scriptedConn struct {
	*memoryConn
	in      chan []byte
	stopped chan struct{}
	once    sync.Once
	replies chan *dhcpv4.DHCPv4
	// only: replies to other MACs are not kept.
	only string
}

func newScriptedConn() *scriptedConn {
	return &scriptedConn{memoryConn: &memoryConn{}, in: make(chan []byte), stopped: make(chan struct{}),
		replies: make(chan *dhcpv4.DHCPv4, 1024)}
}

func (c *scriptedConn) Read(buf []byte) (int, netip.AddrPort, netip.Addr, error) {
	select {
	case b := <-c.in:
		return copy(buf, b), packet{}.from(), packet{}.dest(), nil
	case <-c.stopped:
		return 0, netip.AddrPort{}, netip.Addr{}, net.ErrClosed
	}
}

func (c *scriptedConn) Stop() error { c.once.Do(func() { close(c.stopped) }); return nil }

func (c *scriptedConn) Send(f []byte) error { return c.Write(f[42:], netip.Addr{}, netip.AddrPort{}) }

// Write passes on replies, and drops them when nobody looks: the network may lose.
func (c *scriptedConn) Write(b []byte, _ netip.Addr, _ netip.AddrPort) error {
	msg, err := dhcpv4.FromBytes(b)
	if err != nil {
		return err
	}
	if c.only != "" && msg.ClientHWAddr.String() != c.only {
		return nil
	}
	select {
	case c.replies <- msg:
	default:
	}
	return nil
}

// waitFor returns the next reply of a kind to a MAC.
func (c *scriptedConn) waitFor(t testing.TB, mac string, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case msg := <-c.replies:
			if msg.ClientHWAddr.String() == mac && msg.MessageType() == kind {
				return msg
			}
		case <-deadline:
			t.Fatalf("no %s for %s", kind, mac)
		}
	}
}

package dhcp

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// loadResult is what a load generator measured.
type loadResult struct {
	Clients   int
	Exchanges int
	Failed    int
	PerSecond float64
	P50, P99  time.Duration
}

// TestLoad measures full exchanges (four packets, a fresh MAC each) through a veth as a
// relay. DHCP_LOAD_COMMAND is the server: it runs in a namespace where boot0 has
// 10.0.0.1/8, and has printed DHCP_LOAD_READY when it is up. The load runs for
// DHCP_LOAD_SECONDS with DHCP_LOAD_CLIENTS at once.
func TestLoad(t *testing.T) {
	if os.Getenv("DHCP_LOAD_TARGET") != "" {
		generate(t)
		return
	}
	seconds := os.Getenv("DHCP_LOAD_SECONDS")
	if seconds == "" {
		t.Skip("a measurement, not a test: set DHCP_LOAD_SECONDS")
	}
	if !inNamespace(t) {
		return
	}
	client := newHost(t)
	client.cable("boot0", "eth0")
	sh(t, "ip", "link", "set", "lo", "up")
	sh(t, "ip", "addr", "add", "10.0.0.1/8", "dev", "boot0")
	client.run("ip", "addr", "add", "10.0.0.2/8", "dev", "eth0")
	command := os.Getenv("DHCP_LOAD_COMMAND")
	startDaemon(t, exec.Command("sh", "-c", command), os.Getenv("DHCP_LOAD_READY"))
	gen := client.command(os.Args[0], "-test.run=^TestLoad$", "-test.timeout=10m")
	gen.Env = append(os.Environ(), "DHCP_LOAD_TARGET=10.0.0.1")
	out, err := gen.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// generator is a relay with many clients behind it.
type generator struct {
	conn    *net.UDPConn
	to      netip.AddrPort
	waiting []chan []byte
	mac     atomic.Uint32
}

func generate(t *testing.T) {
	seconds, err := strconv.Atoi(os.Getenv("DHCP_LOAD_SECONDS"))
	if err != nil {
		t.Fatal(err)
	}
	clients, err := strconv.Atoi(os.Getenv("DHCP_LOAD_CLIENTS"))
	if err != nil {
		clients = 64
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: serverPort})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	g := &generator{conn: conn, to: netip.AddrPortFrom(ip(os.Getenv("DHCP_LOAD_TARGET")), serverPort)}
	for range clients {
		g.waiting = append(g.waiting, make(chan []byte, 4))
	}
	go g.receive()
	g.run(3 * time.Second) // warm up
	res := g.run(time.Duration(seconds) * time.Second)
	out, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("load: %s\n", out)
}

// receive hands replies to the client whose number is in the transaction id.
func (g *generator) receive() {
	for {
		b := make([]byte, 600)
		n, err := g.conn.Read(b)
		if err != nil {
			return
		}
		if who := int(binary.BigEndian.Uint16(b[4:])); n > 240 && who < len(g.waiting) {
			select {
			case g.waiting[who] <- b[:n]:
			default:
			}
		}
	}
}

func (g *generator) run(d time.Duration) loadResult {
	var all []time.Duration
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := 0
	start := time.Now()
	for who := range g.waiting {
		wg.Go(func() {
			c := g.client(who)
			var took []time.Duration
			bad := 0
			for xid := uint16(0); time.Since(start) < d; xid += 2 {
				began := time.Now()
				if g.exchange(c, xid, g.mac.Add(1)) {
					took = append(took, time.Since(began))
				} else {
					bad++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			failed += bad
		})
	}
	wg.Wait()
	slices.Sort(all)
	res := loadResult{Clients: len(g.waiting), Exchanges: len(all), Failed: failed, PerSecond: float64(len(all)) / time.Since(start).Seconds()}
	if len(all) > 0 {
		res.P50, res.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return res
}

// exchange runs DISCOVER to ACK with the client's two packets, which are patched.
func (g *generator) exchange(c *loadClient, xid uint16, n uint32) bool {
	for _, b := range [][]byte{c.discover, c.request} {
		binary.BigEndian.PutUint32(b[29:], n)
	}
	offer := g.ask(c, c.discover, xid, byte(dhcpv4.MessageTypeOffer))
	if offer == nil {
		return false
	}
	copy(c.request[c.wantedAt:], offer[16:20])
	return g.ask(c, c.request, xid+1, byte(dhcpv4.MessageTypeAck)) != nil
}

func (g *generator) ask(c *loadClient, b []byte, xid uint16, want byte) []byte {
	binary.BigEndian.PutUint16(b[4:], c.who)
	binary.BigEndian.PutUint16(b[6:], xid)
	if _, err := g.conn.WriteToUDPAddrPort(b, g.to); err != nil {
		return nil
	}
	c.late.Reset(time.Second)
	for {
		select {
		case r := <-g.waiting[c.who]:
			if binary.BigEndian.Uint16(r[6:]) == xid && kindOf(r) == want {
				return r
			}
		case <-c.late.C:
			return nil
		}
	}
}

// loadClient is one of the clients behind the relay.
type loadClient struct {
	who               uint16
	discover, request []byte
	wantedAt          int
	late              *time.Timer
}

func (g *generator) client(who int) *loadClient {
	base := packet{kind: kindDiscover, mac: "52:00:00:00:00:00", giaddr: "10.0.0.2"}
	c := &loadClient{who: uint16(who), discover: base.bytes(), late: time.NewTimer(time.Hour)}
	base.kind, base.wanted, base.server = kindRequest, "10.0.0.1", g.to.Addr().String()
	c.request = base.bytes()
	c.wantedAt = wantedOffset(c.request)
	return c
}

func kindOf(b []byte) byte {
	for i := 240; i+2 < len(b) && b[i] != 255; i += 2 + int(b[i+1]) {
		if b[i] == 53 {
			return b[i+2]
		}
		if b[i] == 0 {
			i--
		}
	}
	return 0
}

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
	installed "ingot/inventory/guest"
	"ingot/inventory/secret"
	"ingot/inventory/seed"
	"ingot/pxe/agentapi"
)

// offer is a DISCOVER that Ingot answers.
func (m *played) offer(mods ...dhcpv4.Modifier) error {
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	_, err = d.offered(mods...)
	return err
}

// bind is the exchange of four packets.
func (m *played) bind(mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	d, err := m.dhcp()
	if err != nil {
		return nil, err
	}
	return d.bound(mods...)
}

// refuse asks DHCP again until the inventory has the loader down as refused: what firmware
// does that would not run it.
func (m *played) refuse(mods ...dhcpv4.Modifier) error {
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	return m.poll(20*time.Second, func() error {
		if err := d.discover(1, mods...); err != nil {
			return err
		}
		out, err := m.b.r.tryIngot("why", string(m.mac))
		if err != nil || !strings.Contains(out, "did not run it") {
			return errNotYet(out)
		}
		return nil
	})
}

func declined(m *played) error {
	ack, err := m.bind(pxeUEFI)
	if err != nil {
		return err
	}
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	p, err := d.packet(dhcpv4.MessageTypeDecline, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ack.YourIPAddr)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ack.ServerIdentifier())))
	if err != nil {
		return err
	}
	return d.send(p)
}

// nak asks for an address of another network, after an offer.
func nak(m *played) error {
	d, err := m.dhcp()
	if err != nil {
		return err
	}
	offer, err := d.offered(pxeUEFI)
	if err != nil {
		return err
	}
	p, err := d.packet(dhcpv4.MessageTypeRequest, pxeUEFI, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, 77))),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))
	if err != nil {
		return err
	}
	reply, err := d.ask(p)
	if err == nil && reply.MessageType() != dhcpv4.MessageTypeNak {
		err = fmt.Errorf("answer is %s, want NAK", reply.MessageType())
	}
	return err
}

// silent takes an order, comes to 43 % and is never heard again.
func silent(m *played) error {
	o, err := m.ordered()
	if err != nil {
		return err
	}
	p := inventory.Progress{Step: "write", Bytes: 43, TotalBytes: 100}
	return errors.Join(m.agent.Beat(m.t.Context(), agentapi.Beat{Generation: o.Generation, Progress: &p}),
		m.agent.Log(m.t.Context(), []byte("write: chunk 8 of 21\nwrite: chunk 9 of 21\n")))
}

func writeFails(m *played) error {
	o, err := m.ordered()
	if err != nil {
		return err
	}
	return m.agent.Report(m.t.Context(), inventory.Report{Generation: o.Generation, Order: string(o.Kind),
		Failure: &inventory.Failure{Step: "write", Reason: "no disk fits serial=X", Permanent: true}})
}

// secondClaim says hello twice, as two boots.
func secondClaim(m *played) error {
	if err := m.hello(m.identity(), agentapi.NewBoot()); err != nil {
		return err
	}
	id := m.id
	if err := m.hello(m.identity(), agentapi.NewBoot()); err == nil {
		return errors.New("a second agent was let in")
	}
	m.id = id
	return nil
}

// conflicting shows the MAC of another UUID's machine.
func conflicting(m *played) error {
	if err := m.hello(m.identity(), agentapi.NewBoot()); err != nil {
		return err
	}
	id := m.identity()
	id.UUID = "5a6b7c8d-9999-4222-8333-0000000000ff"
	if err := m.hello(id, agentapi.NewBoot()); err == nil {
		return errors.New("a contradicting identity was let in")
	}
	return nil
}

func olderOrder(m *played) error {
	if err := m.ready(); err != nil {
		return err
	}
	return m.agent.Report(m.t.Context(), inventory.Report{Generation: 7, Order: string(agentapi.OrderDeploy), OK: true})
}

// panicked sends a kernel's last words by netconsole.
func panicked(m *played) error {
	if err := m.inspected(); err != nil {
		return err
	}
	conn, err := m.dial(m.t.Context(), "udp4", server+":6666", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, line := range []string{"ingot-agent[1]: exit", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009", "---[ end Kernel panic ]---"} {
		if _, err := fmt.Fprintf(conn, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// diskDark is written, and asks the network twice afterwards.
func diskDark(m *played) error {
	if _, err := m.written(); err != nil {
		return err
	}
	if err := m.leaves(); err != nil {
		return err
	}
	return errors.Join(m.http(m.boot("script.ipxe"), never), m.http(m.boot("script.ipxe"), never))
}

// leaves waits until its silence is taken for its reboot.
func (m *played) leaves() error {
	return m.poll(20*time.Second, func() error {
		d, err := m.b.r.client.Machine(m.t.Context(), m.id)
		if err == nil && d.Status.Phase != inventory.PhaseFirstBoot {
			err = errNotYet(string(d.Status.Phase))
		}
		return err
	})
}

// networkFirst is deployed to its phone-home, and asks the network again and again.
func networkFirst(m *played) error {
	o, err := m.written()
	if err != nil {
		return err
	}
	if err := m.phoneHome(o.Generation); err != nil {
		return err
	}
	if err := m.becomes(inventory.Deployed, ""); err != nil {
		return err
	}
	script := m.boot("script.ipxe")
	return errors.Join(m.http(script, never), m.http(script, never), m.http(script, never))
}

// phoneHome is the installed system's word, as cloud-init sends it.
func (m *played) phoneHome(generation int64) error {
	key, err := secret.Open(filepath.Join(m.b.r.data, "key"))
	if err != nil {
		return err
	}
	d, err := m.b.r.client.Machine(m.t.Context(), m.id)
	if err != nil {
		return err
	}
	form := url.Values{"instance_id": {seed.InstanceID(&d.Machine)}, "hostname": {"played"}}
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://"+server+":7480"+installed.PhoneHomePath(key, m.id, generation),
		bytes.NewReader([]byte(form.Encode())))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: m.b.r.dial, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("phone-home: %s", resp.Status)
	}
	return nil
}

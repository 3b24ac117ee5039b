package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/pxe/agentapi"
	"ingot/pxe/lab"
)

// rackAddress is the server's in the rack's network.
var rackAddress = netip.MustParsePrefix("10.66.0.1/24")

// breaking makes the server start agents that go wrong.
func (r *rack) breaking(how string) {
	r.env = []string{"INGOT_KERNEL_ARGS=console=tty0 console=ttyS0,115200 panic=30 ingot.break=" + how}
}

// TestAgentPanics: the agent dies; the server tells so in the machine's log and timeline,
// and the machine comes back by itself.
func TestAgentPanics(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	r.breaking("panic")
	r.start()
	r.power("m", lab.On)
	const line = "panic: ingot.break=panic stands on the kernel's command line"
	m := r.agentUp("m")
	first := m.Status.Agent.Boot
	r.eventually("the panic is told", time.Minute, func(context.Context) error {
		for _, e := range r.events(m.ID) {
			if p, err := e.Decode(); err == nil && e.Kind == inventory.EventAgentPanic && strings.Contains(p.(inventory.AgentPanic).Line, line) {
				return nil
			}
		}
		return errors.New("no event of it")
	})
	r.logHas(m, line, "ingot-agent: goroutine ", "ingot-agent: agent ended: exit status 2")
	r.stop()
	r.env = nil
	r.start()
	r.until("m", "a new boot", 4*time.Minute, func(m inventory.Machine) error {
		if m.Status.Agent == nil || m.Status.Agent.Boot == first || m.Status.Agent.FactsAt.IsZero() {
			return fmt.Errorf("agent is %+v", m.Status.Agent)
		}
		return nil
	})
}

// logHas waits until a machine's log has each of the texts.
func (r *rack) logHas(m inventory.Machine, want ...string) {
	r.t.Helper()
	r.eventually("the log has it", time.Minute, func(ctx context.Context) error {
		var log bytes.Buffer
		if err := r.client.Log(ctx, m.ID, false, &log); err != nil {
			return err
		}
		for _, w := range want {
			if !strings.Contains(log.String(), w) {
				return fmt.Errorf("no %q in:\n%s", w, tail(log.String(), 15))
			}
		}
		return nil
	})
}

// TestAgentExits: what the agent says last is in the machine's log.
func TestAgentExits(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	r.breaking("exit")
	r.start()
	r.power("m", lab.On)
	r.logHas(r.agentUp("m"), `msg="agent ends" err="ingot.break=exit stands on the kernel's command line"`)
}

// TestAgentHangs: the agent is up and does nothing any more, not even beat.
func TestAgentHangs(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	r.breaking("hang")
	r.start()
	r.power("m", lab.On)
	r.agentUp("m")
	r.until("m", "no beat", 2*time.Minute, func(m inventory.Machine) error {
		if silent := time.Since(m.Status.Beat); silent < agentapi.SilentAfter {
			return fmt.Errorf("the last beat is %s old", silent)
		}
		return nil
	})
	if on, err := r.lab.Process("m"); err != nil || !on.Running() {
		t.Errorf("the machine is off: %v", err)
	}
}

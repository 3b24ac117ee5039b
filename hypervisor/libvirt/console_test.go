package libvirt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/inventory"
)

// terminal is a person's side of a console.
type terminal struct {
	t     *testing.T
	mine  net.Conn
	said  []byte
	ended chan error
}

// console joins a machine's console; the error is of one that could not be joined.
func console(t *testing.T, d *Driver, id string, force bool) (*terminal, error) {
	t.Helper()
	mine, theirs := net.Pipe()
	term := &terminal{t: t, mine: mine, ended: make(chan error, 1)}
	joined := make(chan struct{})
	go func() {
		term.ended <- d.Console(t.Context(), id, force, func() (io.ReadWriter, error) { close(joined); return theirs, nil })
		theirs.Close()
	}()
	t.Cleanup(func() { mine.Close() })
	select {
	case <-joined:
		return term, nil
	case err := <-term.ended:
		return nil, err
	}
}

func (c *terminal) typed(text string) {
	c.t.Helper()
	if _, err := c.mine.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// wait reads until the machine said something.
func (c *terminal) wait(text string) {
	c.t.Helper()
	if err := c.mine.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	for b := make([]byte, 4096); !bytes.Contains(c.said, []byte(text)); {
		n, err := c.mine.Read(b)
		if c.said = append(c.said, b[:n]...); err != nil {
			c.t.Fatalf("waiting for %q: %v; it said %q", text, err, c.said)
		}
	}
	c.said = nil
}

func (c *terminal) end() error {
	c.t.Helper()
	go func() { _, _ = io.Copy(io.Discard, c.mine) }() // until it is closed
	select {
	case err := <-c.ended:
		return err
	case <-time.After(10 * time.Second):
		c.t.Fatal("the console does not end")
		return nil
	}
}

// TestConsole talks to the shell of the firmware.
func TestConsole(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "console")
	needFirmware(t, d)
	s := spec("m-console", "console", image)
	s.Firmware, s.NICs, s.MemoryBytes = inventory.FirmwareUEFI, nil, 256<<20
	if _, err := d.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, err := console(t, d, "m-nobody", false); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("nobody's console: %v", err)
	}
	if _, err := console(t, d, s.ID, false); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("console of a machine that is off: %v", err)
	}
	if err := d.SetPower(t.Context(), s.ID, hypervisor.On, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	first, err := console(t, d, s.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	first.wait("Shell>")
	first.typed("set who ingot\r")
	first.wait("Shell>")
	first.typed("echo %who%-heard\r")
	first.wait("ingot-heard")
	if _, err := console(t, d, s.ID, false); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("a second console: %v", err)
	}
	second, err := console(t, d, s.ID, true)
	if err != nil {
		t.Fatalf("by force: %v", err)
	}
	if err := first.end(); err == nil || !strings.Contains(err.Error(), "taken away") {
		t.Errorf("the first ended with %v", err)
	}
	second.typed("echo %who%-again\r")
	second.wait("ingot-again")
	second.mine.Close()
	if err := <-second.ended; err != nil {
		t.Errorf("left: %v", err)
	}
	third, err := console(t, d, s.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), s.ID, hypervisor.Off, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	if err := third.end(); err != nil {
		t.Errorf("switched off: %v", err)
	}
}

// TestConsoleCancelled: the context's end is the console's.
func TestConsoleCancelled(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "cancelled")
	s := spec("m-cancelled", "cancelled", image)
	if _, err := d.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), s.ID, hypervisor.On, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	mine, theirs := net.Pipe()
	defer mine.Close()
	err := d.Console(ctx, s.ID, false, func() (io.ReadWriter, error) { cancel(); return theirs, nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	theirs.Close()
	refused := errors.New("refused")
	if err := d.Console(t.Context(), s.ID, false, func() (io.ReadWriter, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

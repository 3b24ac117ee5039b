package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	lib "github.com/pin/tftp/v3"

	"ingot/inventory"
)

type session struct {
	client netip.AddrPort
	name   string
}

// serve handles one read request; the error it returns goes to the client.
func (s *Server) serve(ctx context.Context, asked string, rf io.ReaderFrom) error {
	out := rf.(lib.OutgoingTransfer)
	remote := out.RemoteAddr()
	client := remote.AddrPort()
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	start := s.cfg.Now()
	t := Transfer{Request: Request{Name: asked, Client: client.Addr()}}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		t.Outcome, t.Err = inventory.FileStopped, fmt.Errorf("%d transfers run already: %w", s.cfg.MaxTransfers, inventory.ErrBusy)
		s.report(t)
		return errors.New("server is busy, try again")
	}
	file, err := s.open(ctx, &t)
	if err != nil {
		t.Outcome, t.Err = inventory.FileNotFound, err
		s.report(t)
		return clientError(err)
	}
	defer s.closeFile(file, t.Name)
	out.SetSize(t.TotalBytes)
	repeated, done := s.begin(session{client, t.Name})
	defer done()
	c := &counter{file: file, stop: s.stop, moved: s.awake.moved}
	_, err = rf.ReadFrom(c)
	t.Duration = s.cfg.Now().Sub(start)
	if outcome(&t, c, err); t.Outcome == inventory.FileStopped && t.Block == 0 && repeated() {
		return nil // the client took the other answer to its repeated request
	}
	s.report(t)
	return nil // the library has told the client
}

func (s *Server) open(ctx context.Context, t *Transfer) (File, error) {
	name, mac, err := cleanName(t.Name)
	if err != nil {
		return nil, err
	}
	t.Name, t.MAC = name, mac
	file, err := s.cfg.Files.Open(ctx, t.Request)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	t.TotalBytes = file.SizeBytes()
	if t.TotalBytes > sizeMaxBytes {
		s.closeFile(file, name)
		return nil, inventory.Invalid("%s has %s, TFTP serves up to %s", name,
			inventory.FormatBytes(t.TotalBytes), inventory.FormatBytes(sizeMaxBytes))
	}
	return file, nil
}

func (s *Server) closeFile(file File, name string) {
	if err := file.Close(); err != nil {
		s.log.Warn("close file", "file", name, "err", err)
	}
}

// clientError is the text that goes over the wire: no paths of this host.
func clientError(err error) error {
	if errors.Is(err, inventory.ErrNotFound) {
		return errors.New("file not found")
	}
	return errors.New("file can't be served")
}

// outcome fills in how a transfer ended.
func outcome(t *Transfer, c *counter, err error) {
	t.Bytes, t.Block, t.BlockBytes = c.ackedBytes, c.acked, c.blockBytes
	switch {
	case err == nil:
		t.Outcome, t.Bytes, t.Block = inventory.FileDone, c.bytes, c.reads
	case c.reads == 0 && aborted(err):
		t.Outcome = inventory.FileProbe
	default:
		t.Outcome, t.Err = inventory.FileStopped, err
	}
}

// aborted reports whether the client ended the transfer in answer to the options, with
// an error packet other than "unknown transfer ID" (5, which answers a duplicate). The
// library has only a text for that.
func aborted(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "sending block 0: code=") && !strings.HasPrefix(text, "sending block 0: code=5,")
}

// begin counts a transfer; repeated tells whether another one of the same file to the
// same port ran at any time since.
func (s *Server) begin(key session) (repeated func() bool, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.running[key] > 0
	s.running[key]++
	repeated = func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return before || s.running[key] > 1
	}
	done = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running[key]--; s.running[key] == 0 {
			delete(s.running, key)
		}
	}
	return repeated, done
}

func (s *Server) report(t Transfer) {
	s.log.Debug("transfer", "file", t.Name, "client", t.Client, "outcome", t.Outcome, "bytes", t.Bytes, "err", t.Err)
	s.cfg.Observer.Transferred(t)
}

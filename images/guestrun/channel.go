package guestrun

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// channel is the host's end of the virtio-serial port.
type channel struct {
	conn net.Conn
	in   *bufio.Reader

	turn  chan struct{} // holds one token: whoever has it reads and writes
	ready bool          // hello was read
	// broken is why nothing more can be sent: an answer was not read to its end.
	broken error
	once   sync.Once
}

func newChannel(conn net.Conn) *channel {
	c := &channel{conn: conn, in: bufio.NewReaderSize(conn, maxLineBytes), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// use runs f with the channel to itself. When ctx ends during f the channel is of no use
// any more: what is answered later can't be told from the next answer's rest.
func (c *channel) use(ctx context.Context, f func() error) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { c.turn <- struct{}{} }()
	if c.broken != nil {
		return fmt.Errorf("the channel is closed since: %w", c.broken)
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	c.broken = err
	return err
}

// hello waits until the guest takes commands.
func (c *channel) hello(heard func()) error {
	if c.ready {
		return nil
	}
	version, err := readUntil(c.in, heard, "hello")
	if err != nil {
		return err
	}
	if len(version) != 1 || version[0] != "1" {
		return guestErrorf("the guest's channel has version %.20q, want 1", version)
	}
	c.ready = true
	return nil
}

// do sends a command and waits for its answer.
func (c *channel) do(cmd Command, heard func()) (answer, error) {
	if err := c.hello(heard); err != nil {
		return answer{}, err
	}
	id := rand.Text()
	if _, err := c.conn.Write(cmd.request(id)); err != nil {
		return answer{}, err
	}
	return readAnswer(c.in, heard, id, cmd.maxOutput())
}

// off asks the guest to switch off; there is no answer.
func (c *channel) off() error {
	if !c.ready {
		return errors.New("the guest takes no commands")
	}
	_, err := c.conn.Write([]byte("off\n"))
	return err
}

func (c *channel) close() { c.once.Do(func() { c.conn.Close() }) }

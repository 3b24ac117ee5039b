package tftp

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"ingot/inventory"
)

// Files opens what may be served.
type Files interface {
	// Open returns a file by its clean name. An unknown name is inventory.ErrNotFound.
	// The context ends with the server.
	Open(ctx context.Context, r Request) (File, error)
}

// Request is what a client asks for.
type Request struct {
	// Name is the cleaned name without MAC folder; MAC is that folder, if there was
	// one.
	Name string
	MAC  inventory.MAC
	// Client is who asks.
	Client netip.Addr
}

// File is an open file; it is read forward, a block at a time.
type File interface {
	io.ReadCloser
	// SizeBytes is its length, for the tsize option.
	SizeBytes() int64
}

// Transfer is how one transfer ended.
type Transfer struct {
	Request
	Outcome inventory.FileOutcome
	// Bytes and Block are what the client acknowledged.
	Bytes      int64
	Block      int64
	TotalBytes int64
	// BlockBytes is the block size, 0 when it never came to that.
	BlockBytes int
	Duration   time.Duration
	// Err tells why it stopped.
	Err error
}

// Observer is told how each transfer ended. It must not block.
type Observer interface {
	Transferred(t Transfer)
}

// errStopping ends transfers when the server stops.
var errStopping = errors.New("server is stopping")

// tellEvery keeps a hundred transfers from writing to the same word for each block.
const tellEvery = 8

// counter reads a file for pin/tftp and counts what was acknowledged: the library reads
// a block only after the one before was acknowledged. (In netascii mode it reads ahead,
// and the counts are rough.)
type counter struct {
	file io.Reader
	stop <-chan struct{}
	// moved is told of every tellEvery blocks.
	moved func(blocks int64)
	// reads is the number of blocks read, bytes what was in them.
	reads, bytes int64
	// acked and ackedBytes are those before the last read.
	acked, ackedBytes int64
	blockBytes        int
}

func (c *counter) Read(p []byte) (int, error) {
	c.acked, c.ackedBytes = c.reads, c.bytes
	select {
	case <-c.stop:
		return 0, errStopping
	default:
	}
	if c.reads%tellEvery == tellEvery-1 {
		c.moved(tellEvery)
	}
	c.blockBytes = len(p)
	n, err := io.ReadFull(c.file, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if n < len(p) && err == nil {
		err = io.EOF
	}
	c.reads++
	c.bytes += int64(n)
	return n, err
}

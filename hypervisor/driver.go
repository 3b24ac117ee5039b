package hypervisor

import (
	"context"
	"io"
	"net/netip"
)

// Driver works on one host. Its methods can be called at once from many goroutines.
//
// The errors are inventory's: ErrNotFound where there is no such machine, ErrUnsupported
// where the host can't do it, ErrBusy where something is in the way that may go (a clone, a
// power state), ErrDenied where the login may not, ErrInvalid where no host could.
type Driver interface {
	// Capabilities tells what this host can do; it was asked when the driver was made.
	Capabilities() Capabilities
	// Check goes through what can be wrong at first contact, one finding for each, and
	// changes nothing. The error is for a context that ended.
	Check(ctx context.Context) ([]Finding, error)

	// EnsureImage puts an image on the host once: what is there under the digest and is
	// whole is not sent again. progress may be nil.
	EnsureImage(ctx context.Context, image Image, progress func(Progress)) error
	// Images are the digests of the images there, whole ones only.
	Images(ctx context.Context) ([]string, error)
	// RemoveImage takes an image away. One that linked clones stand on is ErrBusy; one
	// that is not there is no error.
	RemoveImage(ctx context.Context, digest string) error

	// Plan tells what Create would do, and the raw request, without doing it. The image
	// need not be there where the spec has its size: bringing it is a step then.
	Plan(ctx context.Context, spec Spec) (Plan, error)
	// Create makes the machine, powered off, from an image that is there. A machine of
	// that ID which is there already is returned as it is.
	Create(ctx context.Context, spec Spec) (VM, error)
	// Get finds a machine of this owner.
	Get(ctx context.Context, id string) (VM, error)
	// List returns the machines of this owner, in a bounded number of round trips.
	List(ctx context.Context) ([]VM, error)
	// SetPower brings a machine to On or Off. Off asks the guest first unless how is
	// Force; a guest that does not go by the context's end is left running.
	SetPower(ctx context.Context, id string, to PowerState, how PowerHow) error
	// Delete takes a machine away with all that Create made for it. One that is not
	// there is no error.
	Delete(ctx context.Context, id string) error

	// Close ends the connection.
	Close() error
}

// Snapshotter is a driver that keeps states of a machine to return to.
type Snapshotter interface {
	// CreateSnapshot keeps disks and firmware variables. Where the host can't do that
	// with a running machine it is shut down and started again, as Plan says.
	CreateSnapshot(ctx context.Context, id, name string) error
	Snapshots(ctx context.Context, id string) ([]Snapshot, error)
	// RevertSnapshot leaves the machine off.
	RevertSnapshot(ctx context.Context, id, name string) error
	DeleteSnapshot(ctx context.Context, id, name string) error
}

// Resizer is a driver that changes a machine's size.
type Resizer interface {
	// GrowDisk makes disk number n (0 is the root disk) larger; smaller is ErrInvalid.
	GrowDisk(ctx context.Context, id string, n int, sizeBytes int64) error
	// SetSize changes CPUs and memory of a machine that is off; ErrBusy when it is on.
	SetSize(ctx context.Context, id string, cpus int, memoryBytes int64) error
}

// Consoler is a driver that reaches its machines' serial ports.
type Consoler interface {
	// Console joins the serial port of a running machine to rw until the machine stops, rw
	// ends or ctx does. A port has one console: with force it is taken from who has it,
	// without that is ErrBusy. joined is called when it is there, before the first byte, and never after Console
	// has returned.
	// A Read that is under way goes on until the caller closes rw.
	Console(ctx context.Context, id string, force bool, joined func() (io.ReadWriter, error)) error
}

// Watcher is a driver that tells of changes.
type Watcher interface {
	// Watch calls f with the ID of each machine that changed, and with "" when anything
	// may have changed (a connection was lost), until ctx ends.
	Watch(ctx context.Context, f func(id string)) error
}

// Adopter is a driver that takes in machines it did not make.
type Adopter interface {
	// Foreign lists machines of no owner.
	Foreign(ctx context.Context) ([]VM, error)
	// Adopt gives a foreign machine, named by its UUID at the host, an ID and this
	// owner. Nothing else of it changes.
	Adopt(ctx context.Context, uuid, id string) (VM, error)
}

// Reacher is a driver that knows under which address its guests reach the computer that
// Ingot runs on.
type Reacher interface {
	// Reach is that address for guests on a network of the host (empty: its default).
	// The zero Addr says that the host does not know.
	Reach(ctx context.Context, network string) (netip.Addr, error)
}

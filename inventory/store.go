package inventory

import (
	"context"
	"time"
)

// Store keeps the inventory. Implementations pass inventory/storetest.
type Store interface {
	// Update runs f in one write transaction: all of it is durable when Update
	// returns nil, none of it when it returns an error. f may run more than once.
	Update(ctx context.Context, f func(Tx) error) error
	// View runs f on one consistent snapshot; writes in it are an error.
	View(ctx context.Context, f func(Tx) error) error
	// Follow calls f for every event after seq in order, first those stored, then
	// new ones as they come, until ctx ends or f returns an error. No event is
	// skipped and none comes twice.
	Follow(ctx context.Context, after int64, f func(Event) error) error
	Close() error
}

// Tx is what can be done within a transaction. Getters of what isn't there return
// ErrNotFound.
type Tx interface {
	MachineStore
	AddressStore
	EventStore
	CatalogStore
	HostStore
	SettingStore
	WorkStore
}

// MachineStore keeps machines, their facts, secrets and sessions.
type MachineStore interface {
	// Machine finds by id or name.
	Machine(ctx context.Context, idOrName string) (*Machine, error)
	Machines(ctx context.Context) ([]*Machine, error)
	// ActiveMachines returns those in a state that lifecycle has work in: discovered,
	// inspecting, deploying, releasing, rescue.
	ActiveMachines(ctx context.Context) ([]*Machine, error)
	// MachinesLike returns those that share a UUID, serial or MAC with id: the
	// candidates for Match.
	MachinesLike(ctx context.Context, id Identity) ([]*Machine, error)
	// PutMachine stores m and sets its new Revision. Revision 0 creates. Another
	// revision than the stored one, a name or a MAC taken by another machine, is
	// ErrConflict. Spec.UserData is stored apart: nil keeps what is there, an empty
	// non-nil slice clears it.
	PutMachine(ctx context.Context, m *Machine) error
	// UserData returns the user data stored for a machine, nil when there is none.
	UserData(ctx context.Context, id string) ([]byte, error)
	DeleteMachine(ctx context.Context, id string) error

	// AddFacts stores a new version and returns its number, or the newest number
	// when nothing but the time differs from it.
	AddFacts(ctx context.Context, id string, f *Facts) (version int, err error)
	// Facts returns one version, the newest for version 0.
	Facts(ctx context.Context, id string, version int) (*Facts, error)

	// PutSession records the hash of an agent's token for a boot of a machine.
	PutSession(ctx context.Context, s Session) error
	Session(ctx context.Context, tokenHash string) (Session, error)
	// Sessions of one machine, newest first.
	Sessions(ctx context.Context, machine string) ([]Session, error)
}

// Session is one agent's permission to speak for a machine during one boot.
type Session struct {
	// TokenHash is the SHA-256 of the token in hex; the token itself is never kept.
	TokenHash string
	Machine   string
	Boot      string
	Created   time.Time
	// Trusted sessions may get secrets.
	Trusted bool
}

// AddressStore is the one table that holds every address.
type AddressStore interface {
	// PutAddress inserts or replaces by IP. It is ErrConflict when the address is
	// active (at a.Updated) for another machine, MAC or client id, or quarantined.
	PutAddress(ctx context.Context, a Address) error
	// PutAddresses does so with many, whose times of update are about the same: faster
	// than one at a time. ErrConflict is given when any of them is in conflict.
	PutAddresses(ctx context.Context, as []Address) error
	// Addresses of one network, or of all for "", ordered by IP.
	Addresses(ctx context.Context, network string) ([]Address, error)
	DeleteAddress(ctx context.Context, ip string) error
}

// EventStore keeps events and sightings.
type EventStore interface {
	// AddEvent stores e and returns its Seq.
	AddEvent(ctx context.Context, e Event) (int64, error)
	// Events in order of Seq.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// PutSightings adds the counts given to those stored (same MAC, kind, detail).
	PutSightings(ctx context.Context, s []Sighting) error
	// Sightings of the MACs given, newest first.
	Sightings(ctx context.Context, macs []MAC) ([]Sighting, error)
	// TrimSightings keeps the newest n rows of MACs that no machine has, and of the
	// others those that were seen after before.
	TrimSightings(ctx context.Context, n int, before time.Time) error
}

// EventQuery chooses events. The zero value is all of them.
type EventQuery struct {
	Machine string
	// After and Before bound Seq (exclusive); Before 0 is no bound.
	After  int64
	Before int64
	Kinds  []EventKind
	// Limit keeps the newest n, 0 for all.
	Limit int
}

// CatalogStore keeps networks, images and channels.
type CatalogStore interface {
	Networks(ctx context.Context) ([]Network, error)
	PutNetwork(ctx context.Context, n Network) error
	DeleteNetwork(ctx context.Context, name string) error
	Images(ctx context.Context) ([]Image, error)
	PutImage(ctx context.Context, i Image) error
	DeleteImage(ctx context.Context, digest string) error
	Channels(ctx context.Context) ([]Channel, error)
	PutChannel(ctx context.Context, c Channel) error
}

// HostStore keeps hypervisors' hosts.
type HostStore interface {
	Hosts(ctx context.Context) ([]Host, error)
	Host(ctx context.Context, name string) (Host, error)
	PutHost(ctx context.Context, h Host) error
	DeleteHost(ctx context.Context, name string) error
	// HostSecret is the host's secret as PutHostSecret was given it: sealed
	// (inventory/secret). It is empty when there is none.
	HostSecret(ctx context.Context, name string) ([]byte, error)
	PutHostSecret(ctx context.Context, name string, sealed []byte) error
}

// WorkStore keeps what is to be done over a long time: rollouts and schedules.
type WorkStore interface {
	// Rollouts are all, newest first.
	Rollouts(ctx context.Context) ([]Rollout, error)
	// Rollout is ErrNotFound when there is none of that ID.
	Rollout(ctx context.Context, id string) (Rollout, error)
	PutRollout(ctx context.Context, r Rollout) error
	// Schedules are all, by name.
	Schedules(ctx context.Context) ([]Schedule, error)
	PutSchedule(ctx context.Context, s Schedule) error
	DeleteSchedule(ctx context.Context, name string) error
}

// SettingStore keeps small values that belong to the whole installation.
type SettingStore interface {
	// Setting returns "" when it was never set.
	Setting(ctx context.Context, key string) (string, error)
	PutSetting(ctx context.Context, key, value string) error
}

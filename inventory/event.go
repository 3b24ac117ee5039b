package inventory

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// EventKind is a closed set; each kind has one payload type.
type EventKind string

// The kinds of event.
const (
	EventDiscovered     EventKind = "machine.discovered"
	EventState          EventKind = "machine.state"
	EventPhase          EventKind = "machine.phase"
	EventFailed         EventKind = "machine.failed"
	EventRecovered      EventKind = "machine.recovered"
	EventConflict       EventKind = "machine.conflict"
	EventFacts          EventKind = "machine.facts"
	EventHold           EventKind = "machine.hold"
	EventOrdered        EventKind = "machine.ordered"
	EventProgress       EventKind = "machine.progress"
	EventWritten        EventKind = "machine.written"
	EventPhoneHome      EventKind = "machine.phone-home"
	EventDeleted        EventKind = "machine.deleted"
	EventPlaced         EventKind = "vm.placed"
	EventVMMade         EventKind = "vm.made"
	EventVMGone         EventKind = "vm.gone"
	EventBoot           EventKind = "boot.started"
	EventBootFile       EventKind = "boot.file"
	EventBootScript     EventKind = "boot.script"
	EventBootRejected   EventKind = "boot.rejected"
	EventBootSet        EventKind = "bootset.current"
	EventBootSetTested  EventKind = "bootset.tested"
	EventBootSetSuspect EventKind = "bootset.suspect"
	EventAgentUp        EventKind = "agent.up"
	EventAgentLost      EventKind = "agent.lost"
	EventAgentPanic     EventKind = "agent.panic"
	EventAgentAlarm     EventKind = "agent.alarm"
	EventOrderRefused   EventKind = "agent.order-refused"
	EventOtherDHCP      EventKind = "dhcp.other-server"
	EventExhausted      EventKind = "dhcp.pool-exhausted"
	EventDeclined       EventKind = "dhcp.declined"
	EventDHCPMode       EventKind = "dhcp.mode"
	EventImage          EventKind = "image.added"
	EventImageTested    EventKind = "image.tested"
	EventImageRemoved   EventKind = "image.removed"
	EventChannel        EventKind = "image.channel"
	EventBuild          EventKind = "image.build"
	EventRollout        EventKind = "image.rollout"
	EventServer         EventKind = "server.started"
)

// Event is something that happened, for ever in order. Seq is given by the store, has
// no meaning but order, and never repeats.
type Event struct {
	Seq  int64     `json:"seq"`
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`
	// Machine is the id of the machine it is about, empty for others.
	Machine string `json:"machine,omitempty"`
	// Name is the machine's name then; kept when the machine is deleted.
	Name string `json:"name,omitempty"`
	// Data is the payload in JSON; Decode gives it back typed.
	Data json.RawMessage `json:"data,omitempty"`
}

// Payload is implemented by the payload types alone.
type Payload interface {
	Kind() EventKind
	// String is one sentence for a timeline.
	String() string
}

// NewEvent makes an event of a payload about machine m (nil for none).
func NewEvent(m *Machine, now time.Time, p Payload) (Event, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return Event{}, fmt.Errorf("encode event %s: %w", p.Kind(), err)
	}
	e := Event{Time: now, Kind: p.Kind(), Data: data}
	if m != nil {
		e.Machine, e.Name = m.ID, m.Name
	}
	return e, nil
}

// Decode returns the typed payload. A kind this version doesn't know is ErrUnsupported.
func (e Event) Decode() (Payload, error) {
	make, ok := payloads[e.Kind]
	if !ok {
		return nil, fmt.Errorf("event %d of kind %q: %w", e.Seq, e.Kind, ErrUnsupported)
	}
	return make(e.Data)
}

// Kinds are all kinds of event that this version knows.
func Kinds() []EventKind { return slices.Sorted(maps.Keys(payloads)) }

// Text is the sentence of the payload, or the kind when it can't be read.
func (e Event) Text() string {
	p, err := e.Decode()
	if err != nil {
		return string(e.Kind)
	}
	return p.String()
}

func decoder[T Payload]() func(json.RawMessage) (Payload, error) {
	return func(data json.RawMessage) (Payload, error) {
		var p T
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, fmt.Errorf("decode event %s: %w", p.Kind(), err)
		}
		return p, nil
	}
}

var payloads = map[EventKind]func(json.RawMessage) (Payload, error){
	EventDiscovered:     decoder[Seen](),
	EventState:          decoder[StateChanged](),
	EventPhase:          decoder[PhaseChanged](),
	EventFailed:         decoder[Failed](),
	EventRecovered:      decoder[Recovered](),
	EventConflict:       decoder[Conflicted](),
	EventFacts:          decoder[FactsRead](),
	EventHold:           decoder[Held](),
	EventOrdered:        decoder[Ordered](),
	EventProgress:       decoder[Progressed](),
	EventWritten:        decoder[Written](),
	EventPhoneHome:      decoder[PhonedHome](),
	EventDeleted:        decoder[Deleted](),
	EventPlaced:         decoder[Placed](),
	EventVMMade:         decoder[VMMade](),
	EventVMGone:         decoder[VMGone](),
	EventBoot:           decoder[BootStarted](),
	EventBootFile:       decoder[BootFile](),
	EventBootScript:     decoder[BootScript](),
	EventBootRejected:   decoder[BootRejected](),
	EventBootSet:        decoder[BootSetMoved](),
	EventBootSetTested:  decoder[BootSetTested](),
	EventBootSetSuspect: decoder[BootSetSuspect](),
	EventAgentUp:        decoder[AgentUp](),
	EventAgentLost:      decoder[AgentLost](),
	EventAgentPanic:     decoder[AgentPanic](),
	EventAgentAlarm:     decoder[AgentAlarm](),
	EventOrderRefused:   decoder[OrderRefused](),
	EventOtherDHCP:      decoder[OtherDHCP](),
	EventExhausted:      decoder[PoolExhausted](),
	EventDeclined:       decoder[AddressDeclined](),
	EventDHCPMode:       decoder[DHCPModeChanged](),
	EventImage:          decoder[ImageAdded](),
	EventImageTested:    decoder[ImageTested](),
	EventImageRemoved:   decoder[ImageRemoved](),
	EventChannel:        decoder[ChannelMoved](),
	EventBuild:          decoder[BuildEnded](),
	EventRollout:        decoder[RolloutMoved](),
	EventServer:         decoder[ServerStarted](),
}

// Package storetest is the contract of inventory.Store: every implementation passes it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ingot/inventory"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Run runs the suite; open returns an empty store each time.
func Run(t *testing.T, open func(testing.TB) inventory.Store) {
	for name, test := range map[string]func(*testing.T, inventory.Store){
		"machine round trip":    machineRoundTrip,
		"stale revision":        staleRevision,
		"names and MACs":        namesAndMACs,
		"machines like":         machinesLike,
		"user data apart":       userDataApart,
		"facts versions":        factsVersions,
		"sessions":              sessions,
		"addresses":             addresses,
		"addresses together":    addressesTogether,
		"events in order":       eventsInOrder,
		"follow":                follow,
		"sightings":             sightings,
		"rollback":              rollback,
		"view sees no writes":   viewIsSnapshot,
		"catalog":               catalog,
		"hosts":                 hosts,
		"work":                  work,
		"delete takes children": deleteTakesChildren,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Machine returns a valid machine numbered n.
func Machine(n int) *inventory.Machine {
	return &inventory.Machine{
		ID: fmt.Sprintf("m-%012d", n), Name: fmt.Sprintf("machine-%d", n), Kind: inventory.KindMetal,
		Identity: inventory.Identity{
			UUID: fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n), Serial: fmt.Sprintf("SN%d", n),
			MACs: []inventory.MAC{inventory.MAC(fmt.Sprintf("52:54:00:00:00:%02x", n))},
		},
		Status:  inventory.Status{State: inventory.Discovered},
		Created: t0, Updated: t0,
	}
}

func update(t *testing.T, s inventory.Store, f func(context.Context, inventory.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := s.Update(ctx, func(x inventory.Tx) error { return f(ctx, x) }); err != nil {
		t.Fatal(err)
	}
}

func view(t *testing.T, s inventory.Store, f func(context.Context, inventory.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := s.View(ctx, func(x inventory.Tx) error { return f(ctx, x) }); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s inventory.Store, ms ...*inventory.Machine) {
	t.Helper()
	update(t, s, func(ctx context.Context, x inventory.Tx) error {
		for _, m := range ms {
			if err := x.PutMachine(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

package vsphere_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere/sim"
)

func TestWatch(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "watch")
	if _, err := d.Create(t.Context(), machine("m-1", "one")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan string, 100), make(chan error, 1)
	s.Forget()
	go func() { ended <- d.Watch(ctx, func(id string) { seen <- id }) }()
	await(t, s, "WaitForUpdatesEx", 2) // the machines as they are were told
	next := func(want string) {
		t.Helper()
		for {
			select {
			case id := <-seen:
				if id == want {
					return
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("nothing about %q", want)
			}
		}
	}
	if err := d.SetPower(t.Context(), "m-1", hypervisor.On, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	next("m-1")
	if _, err := d.Create(t.Context(), machine("m-2", "two")); err != nil {
		t.Fatal(err)
	}
	next("m-2")
	s.Expire()
	if err := d.Delete(t.Context(), "m-2"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}
}

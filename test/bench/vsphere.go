package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"ingot/hypervisor/vsphere"
	"ingot/hypervisor/vsphere/sim"
)

const (
	vcenterMachines = 1000
	vcenterUser     = "bench"
	vcenterPassword = "bench"
)

// listContest: how often a vCenter is asked for a list of many machines. govmomi's simulator
// has no distance, so it is the calls that count.
func listContest() *contest {
	c := &contest{title: fmt.Sprintf("Listing %d VMs of a vCenter (simulated)", vcenterMachines), once: true,
		figures: []figure{{"round trips", "", false}, {"time", "s", false}}, targets: []target{{"round trips", 3, alone}}}
	c.contestants = []contestant{{"vsphere driver", listMany}}
	return c
}

func listMany(ctx context.Context) (v values, err error) {
	s, err := sim.Start(sim.Options{User: vcenterUser, Password: vcenterPassword})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	d, err := vsphere.Open(ctx, vsphere.Config{URL: "vsphere://" + url.PathEscape(vcenterUser) + "@" + s.Host() + "/DC0/DC0_C0", Thumbprint: s.Thumbprint(), Owner: "bench",
		Password: func() ([]byte, error) { return []byte(vcenterPassword), nil }})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := s.Many(vcenterMachines, "bench"); err != nil {
		return nil, err
	}
	s.Forget()
	began := time.Now()
	all, err := d.List(ctx)
	if err == nil && len(all) != vcenterMachines {
		err = fmt.Errorf("%d machines were listed", len(all))
	}
	return values{"round trips": float64(len(s.Calls())), "time": time.Since(began).Seconds()}, err
}

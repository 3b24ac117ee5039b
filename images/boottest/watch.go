package boottest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/images/guestrun"
)

// watch follows the guest from its firmware to the last check. Its error is this host's;
// what the guest does wrong is recorded.
func (r *run) watch(ctx context.Context) error {
	if !r.o.speaks() {
		return r.watchSilent(ctx)
	}
	r.o.Progress("boot")
	got, channel, err := r.arrive(ctx)
	if err != nil {
		return r.failed("phone-home", err)
	}
	if got == nil {
		r.addNoHome(ctx)
	} else {
		r.addHome(*got)
	}
	if !channel {
		r.withoutChannel(got)
		return nil
	}
	return r.probe(ctx)
}

// failed records a guest's failure under the name of what was waited for.
func (r *run) failed(name string, err error) error {
	var guest *guestrun.GuestError
	if !errors.As(err, &guest) {
		return err
	}
	detail := guest.Reason
	if guest.Console != "" {
		detail += "\n" + guest.Console
	}
	r.add(name, false, detail)
	return nil
}

// Waits after the first of the two signs, phone-home and channel, for the other.
const (
	channelGrace = 10 * time.Second
	homeGrace    = 20 * time.Second
)

// arrive waits until the guest has phoned home and takes commands. A nil call means that
// the boot is complete without one; channel false that no channel came.
func (r *run) arrive(ctx context.Context) (got *call, channel bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ready, hello := make(chan error, 1), make(chan struct{})
	go func() { ready <- r.settle(ctx, hello) }()
	defer func() {
		cancel()
		if ready != nil {
			<-ready
		}
	}()
	var late <-chan time.Time
	for {
		select {
		case c := <-r.home.calls:
			r.o.Log.Info("image phoned home", "mode", r.o.Mode)
			got = &c
			if channel {
				return got, true, nil
			}
			if hello != nil {
				late = time.After(channelGrace)
			}
		case <-hello:
			hello, late = nil, nil
		case err := <-ready:
			ready, hello = nil, nil
			if err != nil {
				return got, false, err
			}
			channel = true
			if got != nil {
				return got, true, nil
			}
			late = time.After(homeGrace)
		case <-late:
			return got, channel, nil
		case <-r.guest.Failed():
			return got, false, r.guest.Err()
		}
	}
}

// settle waits until the guest takes commands, closes hello, and waits until its boot is
// complete.
func (r *run) settle(ctx context.Context, hello chan<- struct{}) error {
	if err := r.guest.Ready(ctx); err != nil {
		return err
	}
	close(hello)
	_, err := r.guest.Do(ctx, guestrun.Command{Name: "wait for the end of the boot", Script: settled, Timeout: r.o.Timeout})
	return err
}

func (r *run) addHome(c call) {
	want := call{r.subject.instance(), r.subject.machine.Name}
	passed := c == want
	detail := fmt.Sprintf("instance %.80q, host name %.80q", c.instance, c.hostname)
	if !passed {
		detail += fmt.Sprintf("; want %q, %q", want.instance, want.hostname)
	}
	r.add("phone-home", passed, detail)
}

// addNoHome records a boot that is complete without a phone-home, and asks why.
func (r *run) addNoHome(ctx context.Context) {
	detail := "none arrived, and the boot is complete"
	said, err := r.guest.Do(ctx, guestrun.Command{Name: "why no phone-home", Timeout: time.Minute,
		Script: "cloud-init status --long 2>&1; grep -hiE 'phone.home|WARNING|Traceback' /var/log/cloud-init.log 2>/dev/null | tail -n 8; ip -br addr 2>/dev/null"})
	if err == nil {
		detail += "\n" + guestrun.LastLines(said.Output, 20)
	}
	r.add("phone-home", false, detail)
}

// withoutChannel says which checks can't be made of a guest that takes no commands.
func (r *run) withoutChannel(got *call) {
	for i, p := range r.subject.probes(r.o) {
		if i == 0 && got != nil { // the phone-home has the host name
			r.add(p.name, got.hostname == r.subject.machine.Name, got.hostname)
			continue
		}
		r.skip(p.name, "the image takes no commands")
	}
	for _, c := range r.o.Checks {
		r.add(c.Name, false, "the image takes no commands: it needs cloud-init and virtio_console")
	}
}

// probe runs the checks that commands decide.
func (r *run) probe(ctx context.Context) error {
	list := r.subject.probes(r.o)
	own := len(list)
	for _, c := range r.o.Checks {
		list = append(list, c.probe())
	}
	for i, p := range list {
		r.o.Progress("check " + p.name)
		p.command.Name = p.name
		if p.command.Timeout == 0 {
			p.command.Timeout = time.Minute
		}
		result, err := r.guest.Do(ctx, p.command)
		if err != nil {
			return r.failed(p.name, err)
		}
		if i < own && result.ExitCode == cannot {
			r.skip(p.name, guestrun.LastLines(result.Output, 1))
			continue
		}
		passed, detail := p.judge(result)
		r.add(p.name, passed, detail)
	}
	return nil
}

// watchSilent is for an image that nobody speaks for: all there is is the console.
func (r *run) watchSilent(ctx context.Context) error {
	r.o.Progress("console")
	said, err := r.guest.WaitConsole(ctx, r.o.Reached)
	if err != nil {
		return r.failed("console", err)
	}
	r.add("console", true, said)
	r.skip("phone-home", "nobody in the image reads a seed")
	for _, p := range r.subject.probes(r.o) {
		r.skip(p.name, "nobody in the image reads a seed")
	}
	for _, c := range r.o.Checks {
		r.add(c.Name, false, "nobody in the image reads a seed: it takes no commands")
	}
	return nil
}

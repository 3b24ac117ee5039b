package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

type deployFlags struct {
	api.Deploy
	userData string
	sshKeys  []string
	wait     bool
	timeout  time.Duration
}

// deploy is a command of its own, and one of "ingot machine" as well.
func (a *app) deploy() *cobra.Command {
	var d deployFlags
	cmd := &cobra.Command{Use: "deploy MACHINE...", Short: "Write an image onto machines and boot it", Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runDeploy(cmd.Context(), args, d) }}
	f := cmd.Flags()
	f.StringVar(&d.Image, "image", "", "image: NAME, NAME:CHANNEL or NAME@sha256:HEX")
	f.StringVar(&d.Hostname, "hostname", "", "hostname of the installed system (default: the machine's name)")
	f.StringVar(&d.Disk, "disk", "", "which disk: size>=100G,rotational=no,model=…,serial=…,wwn=…,pick=smallest (default: the only disk)")
	f.BoolVar(&d.Overwrite, "overwrite", false, "write a disk that carries data Ingot didn't write")
	f.BoolVar(&d.Verify, "verify", false, "read the written disk back and compare")
	f.BoolVar(&d.NetworkFirst, "network-first", false, "keep the network before the disk in the boot order")
	f.StringVar(&d.userData, "user-data", "", "file with the cloud-init user data")
	f.StringArrayVar(&d.sshKeys, "ssh-key", nil, "file with SSH public keys (repeatable)")
	f.BoolVar(&d.wait, "wait", false, "wait until the installed system has phoned home")
	f.DurationVar(&d.timeout, "timeout", time.Hour, "give up waiting after this time")
	_ = cmd.MarkFlagRequired("image") // only fails for an unknown flag
	a.completed(machineNames, cmd)
	a.completedFlag(cmd, "image", imageNames)
	return cmd
}

func (a *app) runDeploy(ctx context.Context, names []string, d deployFlags) error {
	if d.userData != "" {
		data, err := os.ReadFile(d.userData)
		if err != nil {
			return fmt.Errorf("read user data: %w", err)
		}
		d.UserData = string(data)
	}
	keys, err := readKeys(d.sshKeys)
	if err != nil {
		return err
	}
	d.SSHKeys = keys
	c, err := a.client()
	if err != nil {
		return err
	}
	if d.Hostname != "" && len(names) > 1 {
		return usage("--hostname %s for %d machines: give it for one, or name the machines so", d.Hostname, len(names))
	}
	if err := known(ctx, c, names); err != nil {
		return err
	}
	var done []inventory.Machine
	var errs []error
	for _, name := range names {
		m, err := c.Deploy(ctx, name, d.Deploy)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, m)
	}
	if d.wait && len(done) > 0 {
		done, err = a.waitAll(ctx, c, done, d.timeout)
		errs = append(errs, err)
	}
	errs = append(errs, a.documentOr(done, func() error {
		for _, m := range done {
			fmt.Fprintln(a.out, strings.TrimSpace(fmt.Sprintf("%s: %s %s", m.Name, stateText(m), validAddr(m))))
		}
		return nil
	}))
	return errors.Join(errs...)
}

// known refuses names that no machine has, before anything is done to the others.
func known(ctx context.Context, c *api.Client, names []string) error {
	var errs []error
	for _, name := range names {
		if _, err := c.Machine(ctx, name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// readKeys takes lines of authorized_keys from files; what isn't a public key is an
// error, so that a private key never leaves the machine.
func readKeys(files []string) ([]string, error) {
	var out []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read SSH key: %w", err)
		}
		for _, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !strings.HasPrefix(line, "ssh-") && !strings.HasPrefix(line, "ecdsa-") && !strings.HasPrefix(line, "sk-") {
				return nil, usage("%s is not a file of SSH public keys", file)
			}
			out = append(out, line)
		}
	}
	return out, nil
}

// waitAll waits for all machines, showing their progress.
func (a *app) waitAll(ctx context.Context, c *api.Client, ms []inventory.Machine, limit time.Duration) ([]inventory.Machine, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	b := newBar(a.err)
	defer b.done()
	w := waiter{client: c, bar: b, seen: map[string]string{}}
	out, errs := make([]inventory.Machine, len(ms)), make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() { out[i], errs[i] = w.wait(ctx, m) })
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// waiter polls machines; one bar shows whoever has progress.
type waiter struct {
	client *api.Client
	mu     sync.Mutex
	bar    *bar
	seen   map[string]string
}

const pollEvery = 500 * time.Millisecond

func (w *waiter) wait(ctx context.Context, m inventory.Machine) (inventory.Machine, error) {
	for {
		d, err := w.client.Machine(ctx, m.ID)
		if ctx.Err() != nil {
			return m, fmt.Errorf("%s: gave up waiting while %s; ingot why %s tells more", m.Name, stateText(m), m.Name)
		}
		if err != nil {
			return m, err
		}
		m = d.Machine
		w.show(m)
		switch e := m.Status.Error; {
		case m.Status.State == inventory.Deployed:
			return m, nil
		case e != nil && e.Permanent:
			return m, fmt.Errorf("%s: %s failed: %s", m.Name, e.Step, e.Reason)
		case m.Status.State != inventory.Deploying:
			return m, fmt.Errorf("%s: is %s", m.Name, m.Status.State)
		}
		_ = pause(ctx, pollEvery) // seen at the next call
	}
}

func (w *waiter) show(m inventory.Machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := string(m.Status.State) + " " + string(m.Status.Phase) + " " + problem(m)
	if w.seen[m.ID] != now {
		w.seen[m.ID] = now
		w.bar.say("%s: %s", m.Name, strings.TrimSpace(now))
	}
	if p := m.Status.Progress; p != nil {
		w.bar.update(m.Name, p.Step, *p)
	}
}

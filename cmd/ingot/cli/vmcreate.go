package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

// defaultImage is what a VM is made from when nobody said.
const defaultImage = "debian-12"

func (a *app) vmCreate() *cobra.Command {
	var v vmFlags
	cmd := &cobra.Command{Use: "create NAME", Short: "Make a VM from a golden image and start it", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.Name = args[0]
			if err := v.read(); err != nil {
				return err
			}
			return a.runVMCreate(cmd.Context(), v)
		}}
	f := cmd.Flags()
	f.StringVar(&v.Image, "image", defaultImage, "image: NAME, NAME:CHANNEL or NAME@sha256:HEX")
	f.StringVar(&v.Spec.Host, "on", inventory.AnyHost, "host, or any")
	f.IntVar(&v.Spec.CPUs, "cpus", 2, "CPUs")
	f.StringVar(&v.memory, "memory", "2G", "memory, like 512M or 4G")
	f.StringArrayVar(&v.disks, "disk", nil, "size of a disk, like 20G: the root disk first (repeatable; default: the image's size)")
	f.StringArrayVar(&v.networks, "network", nil, "network, bridge, port group or switch, and its VLAN: NET[:VLAN] (repeatable; default: the host's)")
	f.StringVar(&v.firmware, "firmware", "", "bios or uefi (default: uefi where the image boots by it)")
	f.BoolVar(&v.Spec.SecureBoot, "secure-boot", false, "enforce Secure Boot")
	f.BoolVar(&v.Spec.TPM, "tpm", false, "give it a TPM 2.0")
	f.StringVar(&v.Hostname, "hostname", "", "hostname of the installed system (default: the VM's name)")
	f.StringVar(&v.userData, "user-data", "", "file with the cloud-init user data")
	f.StringArrayVar(&v.sshKeys, "ssh-key", nil, "file with SSH public keys (repeatable; default: yours in ~/.ssh)")
	f.IntVar(&v.count, "count", 1, "how many: NAME-1, NAME-2, …")
	f.BoolVar(&v.dryRun, "dry-run", false, "say what would be done, with the driver's raw request")
	f.BoolVar(&v.wait, "wait", false, "wait until the installed system has phoned home")
	f.DurationVar(&v.timeout, "timeout", time.Hour, "give up waiting after this time")
	a.completedFlag(cmd, "on", placeNames)
	a.completedFlag(cmd, "image", imageNames)
	return cmd
}

func (a *app) runVMCreate(ctx context.Context, v vmFlags) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	if err := a.ensureImage(ctx, c, v.Image, v.dryRun); err != nil {
		return err
	}
	if v.dryRun {
		return a.showPlan(ctx, c, v)
	}
	var made []inventory.Machine
	var errs []error
	for _, name := range v.names() {
		one := v.VMCreate
		one.Name = name
		m, err := c.CreateVM(ctx, one)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		made = append(made, m)
	}
	if v.wait && len(made) > 0 {
		made, err = a.waitAll(ctx, c, made, v.timeout)
		errs = append(errs, err)
	}
	errs = append(errs, a.documentOr(made, func() error { a.sayMade(made); return nil }))
	return errors.Join(errs...)
}

// ensureImage builds the default image when there is none yet.
func (a *app) ensureImage(ctx context.Context, c *api.Client, ref string, dry bool) error {
	_, err := c.Image(ctx, ref)
	if !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	if ref != defaultImage || dry {
		return fmt.Errorf("%w: ingot image build %s, or ingot image import FILE --name %s", err, defaultImage, ref)
	}
	if hosts, err := c.Hosts(ctx); err != nil || len(hosts) == 0 {
		return errors.Join(err, fmt.Errorf("there is no host for a VM yet (ingot host add NAME URL), nor image %s: %w", ref, inventory.ErrNotFound))
	}
	fmt.Fprintf(a.err, "there is no image %s yet: building it\n", ref)
	b := newBar(a.err)
	_, err = c.Build(ctx, api.ImageBuild{Recipe: ref}, func(l api.WorkLine) { showWork(b, l) })
	b.done()
	return err
}

func (a *app) sayMade(ms []inventory.Machine) {
	for _, m := range ms {
		if m.Status.Address.IsValid() {
			fmt.Fprintf(a.out, "%s: %s on %s\n  ssh debian@%s\n", m.Name, stateText(m), m.Spec.VM.Host, m.Status.Address)
			continue
		}
		if m.Status.State == inventory.Deployed {
			fmt.Fprintf(a.out, "%s: deployed on %s; its address is not known yet (ingot vm show %s)\n", m.Name, m.Spec.VM.Host, m.Name)
			continue
		}
		fmt.Fprintf(a.out, "%s: %s; follow it with: ingot vm list --watch\n", m.Name, stateText(m))
	}
}

func (a *app) showPlan(ctx context.Context, c *api.Client, v vmFlags) error {
	var plans []api.VMPlan
	for _, name := range v.names() {
		one := v.VMCreate
		one.Name = name
		p, err := c.PlanVM(ctx, one)
		if err != nil {
			return err
		}
		plans = append(plans, p)
	}
	return a.documentOr(plans, func() error {
		for _, p := range plans {
			fmt.Fprintf(a.out, "%s on %s%s\n", p.Name, p.Host, parenthesis(p.Why))
			fmt.Fprintf(a.out, "root disk: %s%s\n", p.Clone, parenthesis(p.CloneWhy))
			for i, s := range p.Steps {
				fmt.Fprintf(a.out, "%2d. %s\n", i+1, s)
			}
			fmt.Fprintf(a.out, "%s\n", p.Request)
		}
		return nil
	})
}

func parenthesis(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory/api"
)

// shutDownTime is how long a guest gets; one that was not asked well may never go.
const shutDownTime = 5 * time.Minute

func (a *app) vmStart() *cobra.Command {
	return &cobra.Command{Use: "start NAME...", Short: "Start VMs", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.eachVM(cmd, args, "on", func(ctx context.Context, c *api.Client, name string) error {
			return c.PowerVM(ctx, name, api.VMPower{On: true})
		})
	}}
}

func (a *app) vmStop() *cobra.Command {
	var s stop
	cmd := &cobra.Command{Use: "stop NAME...", Short: "Shut VMs down", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.eachVM(cmd, args, "off", s.vm)
	}}
	s.flags(cmd)
	return cmd
}

func (a *app) vmRestart() *cobra.Command {
	var s stop
	cmd := &cobra.Command{Use: "restart NAME...", Short: "Shut VMs down and start them", Args: atLeast(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.eachVM(cmd, args, "on", func(ctx context.Context, c *api.Client, name string) error {
			if err := s.vm(ctx, c, name); err != nil {
				return err
			}
			return c.PowerVM(ctx, name, api.VMPower{On: true})
		})
	}}
	s.flags(cmd)
	return cmd
}

// stop is how VMs are brought off.
type stop struct {
	force   bool
	timeout time.Duration
}

func (s *stop) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.force, "force", false, "pull the plug")
	cmd.Flags().DurationVar(&s.timeout, "timeout", shutDownTime, "how long each guest gets to shut down")
}

func (s *stop) vm(ctx context.Context, c *api.Client, name string) error {
	short, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := c.PowerVM(short, name, api.VMPower{Force: s.force})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%s is not off after %s: give it longer with --timeout, or pull the plug with --force", name, s.timeout)
	}
	return err
}

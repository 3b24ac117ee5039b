package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory/api"
)

func (a *app) hostSelfTest() *cobra.Command {
	var in api.HostTest
	cmd := &cobra.Command{Use: "selftest NAME", Short: "Make and remove a small VM on a host, step by step, and report", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		steps := []api.TestStep{}
		failed := c.TestHost(cmd.Context(), args[0], in, func(s api.TestStep) {
			steps = append(steps, s)
			if a.output != "json" && a.output != "yaml" {
				a.showStep(s)
			}
		})
		if len(steps) == 0 && failed != nil {
			return failed // it did not begin
		}
		err = a.documentOr(steps, func() error { return nil })
		if err == nil && failed != nil {
			return fmt.Errorf("host %s: the self-test failed: %w", args[0], failed)
		}
		return err
	}}
	cmd.Flags().StringVar(&in.Image, "image", "", "make the VM from this image, which is brought to the host (default: an empty disk)")
	return cmd
}

func (a *app) showStep(s api.TestStep) {
	level, detail := "ok", s.Detail
	if s.Error != "" {
		level, detail = "failed", s.Error
	}
	took := time.Duration(s.Secs * float64(time.Second)).Round(10 * time.Millisecond)
	fmt.Fprintf(a.out, "%-7s %7s  %-32s %s\n", level, took, s.What, detail)
}

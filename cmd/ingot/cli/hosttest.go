package cli

import (
	"fmt"
	"strings"
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
			err = selfTestError(args[0], steps, failed)
		}
		return err
	}}
	cmd.Flags().StringVar(&in.Image, "image", "", "make the VM from this image, which is brought to the host and stays there (default: an empty disk)")
	return cmd
}

// selfTestError is short when the steps that failed have said why.
func selfTestError(host string, steps []api.TestStep, failed error) error {
	bad := 0
	for _, s := range steps {
		if s.Error != "" {
			bad++
		}
	}
	if bad == 0 {
		return fmt.Errorf("host %s: the self-test ended early: %w", host, failed)
	}
	return fmt.Errorf("host %s: %d of %s failed", host, bad, count(len(steps), "step"))
}

func (a *app) showStep(s api.TestStep) {
	level, detail := "ok", s.Detail
	if s.Error != "" {
		level, detail = "failed", s.Error
	}
	took := time.Duration(s.Secs * float64(time.Second)).Round(10 * time.Millisecond)
	fmt.Fprintln(a.out, strings.TrimRight(fmt.Sprintf("%-7s %7s  %-32s %s", level, took, s.What, detail), " "))
}

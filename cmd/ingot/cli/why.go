package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) why() *cobra.Command {
	cmd := &cobra.Command{Use: "why MACHINE", Short: "Say why a machine is where it is, and what to do", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			answer, err := c.Why(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.documentOr(answer, func() error {
				for _, s := range answer.Sentences {
					fmt.Fprintln(a.out, s)
				}
				for _, t := range answer.Try {
					fmt.Fprintln(a.out, "try:", t)
				}
				return nil
			})
		}}
	a.completed(machineNames, cmd)
	return cmd
}

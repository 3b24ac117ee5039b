package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) agent() *cobra.Command {
	return group("agent", "The boot environment: build it, make media of it")
}

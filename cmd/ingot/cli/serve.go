package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
)

func (a *app) serve() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "serve", Short: "Run the server: boot service, API, images", Args: none(),
		Long: `Run the server. For a rack or a homelab this is all:

  ingot serve --interface eth1

DHCP is proxy unless told otherwise: Ingot then gives boot files beside the DHCP server
that is there, and no addresses.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := daemon.LoadConfig(file, cmd.Flags())
			var flag *daemon.FlagError
			if errors.As(err, &flag) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			return daemon.Serve(cmd.Context(), cfg, Version, a.err)
		}}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
	daemon.Flags(cmd.Flags())
	return cmd
}

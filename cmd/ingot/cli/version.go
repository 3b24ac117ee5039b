package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: none(), RunE: func(*cobra.Command, []string) error {
		v := map[string]string{"version": Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
		return a.documentOr(v, func() error {
			_, err := fmt.Fprintf(a.out, "ingot %s (%s, %s)\n", Version, v["go"], v["platform"])
			return err
		})
	}}
}

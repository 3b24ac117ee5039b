package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) events() *cobra.Command {
	var o api.EventOptions
	cmd := &cobra.Command{Use: "events [MACHINE]", Short: "Show what happened, in order", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Limit < 0 || o.After < 0 {
				return usage("--limit %d, --after %d (want 0 or more)", o.Limit, o.After)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				o.Machine = args[0]
			}
			err = c.Events(cmd.Context(), o, a.printEvent)
			if o.Follow && cmd.Context().Err() != nil {
				return nil
			}
			return err
		}}
	cmd.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on as more comes")
	cmd.Flags().IntVar(&o.Limit, "limit", 200, "show the newest N, 0 for all")
	a.completed(machineNames, cmd)
	cmd.Flags().Int64Var(&o.After, "after", 0, "show those after this number")
	return cmd
}

// printEvent prints one event: a line for people, a JSON line or a YAML document.
func (a *app) printEvent(e inventory.Event) error {
	switch a.output {
	case "json":
		return json.NewEncoder(a.out).Encode(e)
	case "yaml":
		fmt.Fprintln(a.out, "---")
		return a.document(e)
	}
	name := e.Name
	if name == "" {
		name = "-"
	}
	_, err := fmt.Fprintf(a.out, "%s  %-24s %s\n", e.Time.Local().Format("2006-01-02 15:04:05"), name, e.Text())
	return err
}

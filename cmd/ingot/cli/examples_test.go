package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestExamples: each example is a call that its verb takes, and each verb that wants
// arguments or a flag has one.
func TestExamples(t *testing.T) {
	for _, line := range examples {
		root := (&app{}).root()
		cmd, rest, err := root.Find(strings.Fields(line)[1:])
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err == nil {
			err = errors.Join(cmd.ValidateArgs(cmd.Flags().Args()), cmd.ValidateRequiredFlags())
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	without := map[string]bool{ // nothing to show but a name
		"ingot machine delete": true, "ingot machine inspect": true, "ingot machine lock": true, "ingot machine rescue": true, "ingot machine resume": true,
		"ingot machine retire": true, "ingot machine return": true, "ingot machine revive": true, "ingot machine unlock": true,
		"ingot vm restart": true, "ingot vm show": true, "ingot vm start": true, "ingot vm snapshot delete": true, "ingot vm snapshot list": true,
		"ingot vm snapshot revert": true, "ingot image rollouts stop": true,
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		wants := !cmd.HasSubCommands() && (cmd.ValidateArgs(nil) != nil || cmd.ValidateRequiredFlags() != nil)
		if wants && cmd.Example == "" && !strings.Contains(cmd.Long, "  ingot ") && !without[path] {
			t.Errorf("%s has no example", path)
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}

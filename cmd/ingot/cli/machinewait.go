package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
)

// waitable are the states that can be waited for; "facts" is any state with facts.
var waitable = []string{"facts", string(inventory.Ready), string(inventory.Deployed), string(inventory.Discovered)}

func (a *app) machineWait() *cobra.Command {
	var state string
	var timeout time.Duration
	cmd := &cobra.Command{Use: "wait MACHINE...", Short: "Wait until machines are in a state; machines not yet seen are waited for", Args: atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(waitable, state) {
				return usage("--for %q (want %s)", state, strings.Join(waitable, ", "))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			for _, name := range args {
				if err := a.waitFor(ctx, name, state); err != nil {
					return err
				}
			}
			return nil
		}}
	cmd.Flags().StringVar(&state, "for", string(inventory.Ready), "facts, discovered, ready or deployed")
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Minute, "give up after this time")
	return cmd
}

func (a *app) waitFor(ctx context.Context, name, state string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	const unseen = "not seen yet"
	last := unseen
	for {
		m, err := c.Machine(ctx, name)
		switch {
		case ctx.Err() != nil && last == unseen:
			return fmt.Errorf("%s: gave up waiting for %s; no machine of that name was seen (ingot machine list)", name, state)
		case ctx.Err() != nil:
			return fmt.Errorf("%s: gave up waiting for %s; it is %s (ingot why %s tells more)", name, state, last, name)
		case err != nil && !errors.Is(err, inventory.ErrNotFound):
			return err
		case err == nil:
			last = stateText(m.Machine)
			if string(m.Status.State) == state || (state == "facts" && m.Status.FactsVersion > 0) {
				return nil
			}
		}
		_ = pause(ctx, pollEvery) // seen at the next call
	}
}

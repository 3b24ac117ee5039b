package agent

import (
	"context"
	"time"
)

// cablePause gathers what several ports say at about the same time, and bounds what a
// chatty peer can cause.
const cablePause = 5 * time.Second

// watchCables sends the facts again when LLDP tells of a neighbour. It reads nothing
// else, so it may run while a disk is written.
func (a *Agent) watchCables(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.neighbours.Changed():
		}
		if sleep(ctx, cablePause) != nil {
			return nil
		}
		if err := a.client.Load().Facts(ctx, a.neighbours.Join(a.facts.Load())); err != nil {
			a.log.Warn("send facts", "err", err)
		}
	}
}

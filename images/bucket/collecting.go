package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
)

// collecting says that a server removes objects. After Until it does no more, even if it
// did not say that it is done.
type collecting struct {
	Server string    `json:"server"`
	Name   string    `json:"name"`
	Until  time.Time `json:"until"`
}

const (
	// collectTime bounds one collection; what is left then goes with the next.
	collectTime = 10 * time.Minute
	// clockSlack is by how much the servers' clocks may differ.
	clockSlack = time.Minute
	// freeEvery is how often a collection of another server is looked at that is waited for.
	freeEvery = time.Second
)

func (s *Share) readCollecting(ctx context.Context) (c collecting, etag string, there bool, err error) {
	data, etag, err := s.objects.get(ctx, collectingKey, maxDocumentBytes)
	if errors.Is(err, inventory.ErrNotFound) {
		return c, "", false, nil
	}
	if err == nil && json.Unmarshal(data, &c) != nil {
		err = inventory.Invalid("%s in %s is not what Ingot writes: remove it", collectingKey, s.objects)
	}
	return c, etag, err == nil, err
}

// free waits until nobody collects. Who has put a manifest or its record before that is
// seen by the next who does.
func (s *Share) free(ctx context.Context) error {
	for {
		c, _, there, err := s.readCollecting(ctx)
		if err != nil || !there || s.Now().After(c.Until.Add(clockSlack)) {
			return err
		}
		s.Log.Info("waiting for a collection of the bucket", "server", c.Name, "until", c.Until)
		select {
		case <-s.After(freeEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin takes the right to collect. It is inventory.ErrBusy while another server has it.
func (s *Share) begin(ctx context.Context) error {
	now := s.Now().UTC()
	document, err := json.Marshal(collecting{s.Server, s.Name, now.Add(collectTime)})
	if err != nil {
		return err
	}
	other, etag, there, err := s.readCollecting(ctx)
	if err != nil {
		return err
	}
	if there && now.Before(other.Until.Add(clockSlack)) && other.Server != s.Server {
		return fmt.Errorf("server %s collects in %s until %s: %w", other.Name, s.objects, other.Until.Format(time.RFC3339), inventory.ErrBusy)
	}
	err = s.objects.swap(ctx, collectingKey, etag, document)
	if errors.Is(err, errChanged) {
		return fmt.Errorf("another server began to collect in %s: %w", s.objects, inventory.ErrBusy)
	}
	return err
}

// end gives the right back.
func (s *Share) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clockSlack)
	defer cancel()
	return s.objects.remove(ctx, collectingKey)
}

package sqlstore

import (
	"context"

	"ingot/inventory"
)

// Rollouts implements inventory.WorkStore.
func (x *tx) Rollouts(ctx context.Context) ([]inventory.Rollout, error) {
	return docs[inventory.Rollout](ctx, x, `SELECT doc FROM rollouts ORDER BY created DESC, id`)
}

// Rollout implements inventory.WorkStore.
func (x *tx) Rollout(ctx context.Context, id string) (inventory.Rollout, error) {
	return doc[inventory.Rollout](ctx, x, "rollout", id, `SELECT doc FROM rollouts WHERE id = ?`, id)
}

// sortable is RFC 3339 in UTC with all digits: its order is the time's.
const sortable = "2006-01-02T15:04:05.000000000Z"

// PutRollout implements inventory.WorkStore.
func (x *tx) PutRollout(ctx context.Context, r inventory.Rollout) error {
	return x.put(ctx, "rollout", r, `INSERT INTO rollouts (id, created, doc) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`,
		r.ID, r.Created.UTC().Format(sortable))
}

// Schedules implements inventory.WorkStore.
func (x *tx) Schedules(ctx context.Context) ([]inventory.Schedule, error) {
	return docs[inventory.Schedule](ctx, x, `SELECT doc FROM schedules ORDER BY name`)
}

// PutSchedule implements inventory.WorkStore.
func (x *tx) PutSchedule(ctx context.Context, s inventory.Schedule) error {
	return x.put(ctx, "schedule", s, `INSERT INTO schedules (name, doc) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc`, s.Name)
}

// DeleteSchedule implements inventory.WorkStore.
func (x *tx) DeleteSchedule(ctx context.Context, name string) error {
	return x.remove(ctx, "schedule", name, `DELETE FROM schedules WHERE name = ?`)
}

package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"

	"ingot/inventory"
)

// Hosts implements inventory.HostStore.
func (x *tx) Hosts(ctx context.Context) ([]inventory.Host, error) {
	return docs[inventory.Host](ctx, x, `SELECT doc FROM hosts ORDER BY name`)
}

// Host implements inventory.HostStore.
func (x *tx) Host(ctx context.Context, name string) (inventory.Host, error) {
	return doc[inventory.Host](ctx, x, "host", name, `SELECT doc FROM hosts WHERE name = ?`, name)
}

// PutHost implements inventory.HostStore.
func (x *tx) PutHost(ctx context.Context, h inventory.Host) error {
	if err := h.Check(); err != nil {
		return err
	}
	return x.put(ctx, "host", h, `INSERT INTO hosts (name, sealed, doc) VALUES (?, '', ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc`, h.Name)
}

// DeleteHost implements inventory.HostStore.
func (x *tx) DeleteHost(ctx context.Context, name string) error {
	return x.remove(ctx, "host", name, `DELETE FROM hosts WHERE name = ?`)
}

// HostSecret implements inventory.HostStore.
func (x *tx) HostSecret(ctx context.Context, name string) ([]byte, error) {
	var text string
	err := x.row(ctx, `SELECT sealed FROM hosts WHERE name = ?`, name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, inventory.NotFound("host", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret of host %s: %w", name, err)
	}
	return base64.StdEncoding.DecodeString(text)
}

// PutHostSecret implements inventory.HostStore.
func (x *tx) PutHostSecret(ctx context.Context, name string, sealed []byte) error {
	n, err := x.exec(ctx, `UPDATE hosts SET sealed = ? WHERE name = ?`, base64.StdEncoding.EncodeToString(sealed), name)
	if err != nil {
		return fmt.Errorf("write secret of host %s: %w", name, err)
	}
	if n == 0 {
		return inventory.NotFound("host", name)
	}
	return nil
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ingot/inventory"
)

// Networks implements inventory.CatalogStore.
func (x *tx) Networks(ctx context.Context) ([]inventory.Network, error) {
	return docs[inventory.Network](ctx, x, `SELECT doc FROM networks ORDER BY name`)
}

// PutNetwork implements inventory.CatalogStore.
func (x *tx) PutNetwork(ctx context.Context, n inventory.Network) error {
	if err := n.Check(); err != nil {
		return err
	}
	return x.put(ctx, "network", n, `INSERT INTO networks (name, doc) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc`, n.Name)
}

// DeleteNetwork implements inventory.CatalogStore.
func (x *tx) DeleteNetwork(ctx context.Context, name string) error {
	return x.remove(ctx, "network", name, `DELETE FROM networks WHERE name = ?`)
}

// Images implements inventory.CatalogStore.
func (x *tx) Images(ctx context.Context) ([]inventory.Image, error) {
	return docs[inventory.Image](ctx, x, `SELECT doc FROM images ORDER BY name, digest`)
}

// PutImage implements inventory.CatalogStore.
func (x *tx) PutImage(ctx context.Context, i inventory.Image) error {
	return x.put(ctx, "image", i, `INSERT INTO images (digest, name, doc) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET name = excluded.name, doc = excluded.doc`,
		i.Digest, i.Name)
}

// DeleteImage implements inventory.CatalogStore.
func (x *tx) DeleteImage(ctx context.Context, digest string) error {
	return x.remove(ctx, "image", digest, `DELETE FROM images WHERE digest = ?`)
}

// Channels implements inventory.CatalogStore.
func (x *tx) Channels(ctx context.Context) ([]inventory.Channel, error) {
	return docs[inventory.Channel](ctx, x, `SELECT doc FROM channels ORDER BY name, channel`)
}

// PutChannel implements inventory.CatalogStore.
func (x *tx) PutChannel(ctx context.Context, c inventory.Channel) error {
	return x.put(ctx, "channel", c, `INSERT INTO channels (name, channel, doc) VALUES (?, ?, ?) ON CONFLICT (name, channel) DO UPDATE SET doc = excluded.doc`,
		c.Name, c.Channel)
}

// put runs an upsert whose last argument is v as a document.
func (x *tx) put(ctx context.Context, what string, v any, query string, keys ...any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	if _, err := x.exec(ctx, query, append(keys, text)...); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

func (x *tx) remove(ctx context.Context, what, name, query string) error {
	n, err := x.exec(ctx, query, name)
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", what, name, err)
	}
	if n == 0 {
		return inventory.NotFound(what, name)
	}
	return nil
}

// Setting implements inventory.SettingStore.
func (x *tx) Setting(ctx context.Context, key string) (string, error) {
	var value string
	err := x.row(ctx, `SELECT value FROM settings WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read setting %s: %w", key, err)
	}
	return value, nil
}

// PutSetting implements inventory.SettingStore.
func (x *tx) PutSetting(ctx context.Context, key, value string) error {
	_, err := x.exec(ctx, `INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	if err != nil {
		return fmt.Errorf("write setting %s: %w", key, err)
	}
	return nil
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
)

// PutSession implements inventory.MachineStore.
func (x *tx) PutSession(ctx context.Context, s inventory.Session) error {
	_, err := x.exec(ctx, `INSERT INTO sessions (token_hash, machine, boot, created, trusted) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (token_hash) DO UPDATE SET trusted = excluded.trusted`,
		s.TokenHash, s.Machine, s.Boot, s.Created.UTC().Format(time.RFC3339Nano), asInt(s.Trusted))
	if err != nil {
		return fmt.Errorf("write session of %s: %w", s.Machine, err)
	}
	return nil
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Session implements inventory.MachineStore.
func (x *tx) Session(ctx context.Context, tokenHash string) (inventory.Session, error) {
	found, err := x.sessions(ctx, `token_hash = ?`, tokenHash)
	if err == nil && len(found) == 0 {
		return inventory.Session{}, fmt.Errorf("session: %w", inventory.ErrNotFound)
	}
	if err != nil {
		return inventory.Session{}, err
	}
	return found[0], nil
}

// Sessions implements inventory.MachineStore.
func (x *tx) Sessions(ctx context.Context, machine string) ([]inventory.Session, error) {
	return x.sessions(ctx, `machine = ? ORDER BY created DESC`, machine)
}

func (x *tx) sessions(ctx context.Context, where, arg string) ([]inventory.Session, error) {
	rows, err := x.sql.QueryContext(ctx, x.bind(`SELECT token_hash, machine, boot, created, trusted FROM sessions WHERE `+where), arg)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	defer rows.Close()
	var out []inventory.Session
	for rows.Next() {
		s, err := scanSession(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

func scanSession(rows *sql.Rows) (inventory.Session, error) {
	var s inventory.Session
	var created string
	var trusted int
	if err := rows.Scan(&s.TokenHash, &s.Machine, &s.Boot, &created, &trusted); err != nil {
		return s, fmt.Errorf("read sessions: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, created)
	s.Created, s.Trusted = at, trusted != 0
	return s, errors.Join(err)
}

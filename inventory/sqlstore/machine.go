package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ingot/inventory"
)

// Machine implements inventory.MachineStore.
func (x *tx) Machine(ctx context.Context, idOrName string) (*inventory.Machine, error) {
	return doc[*inventory.Machine](ctx, x, "machine", idOrName,
		`SELECT doc FROM machines WHERE id = ? OR name = ? ORDER BY id = ? DESC LIMIT 1`, idOrName, idOrName, idOrName)
}

// Machines implements inventory.MachineStore.
func (x *tx) Machines(ctx context.Context) ([]*inventory.Machine, error) {
	ms, err := docs[*inventory.Machine](ctx, x, `SELECT doc FROM machines ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read machines: %w", err)
	}
	return ms, nil
}

// ActiveMachines implements inventory.MachineStore.
func (x *tx) ActiveMachines(ctx context.Context) ([]*inventory.Machine, error) {
	ms, err := docs[*inventory.Machine](ctx, x, `SELECT doc FROM machines WHERE state IN (?, ?, ?, ?, ?) ORDER BY name`,
		string(inventory.Discovered), string(inventory.Inspecting), string(inventory.Deploying), string(inventory.Releasing), string(inventory.Rescue))
	if err != nil {
		return nil, fmt.Errorf("read active machines: %w", err)
	}
	return ms, nil
}

// MachinesLike implements inventory.MachineStore.
func (x *tx) MachinesLike(ctx context.Context, id inventory.Identity) ([]*inventory.Machine, error) {
	id = id.Trusted()
	query := `SELECT doc FROM machines WHERE (uuid <> '' AND uuid = ?) OR (serial <> '' AND serial = ?)`
	args := []any{id.UUID, id.Serial}
	if len(id.MACs) > 0 {
		query += ` OR id IN (SELECT machine FROM macs WHERE mac IN (` + marks(len(id.MACs)) + `))`
		for _, mac := range id.MACs {
			args = append(args, string(mac))
		}
	}
	ms, err := docs[*inventory.Machine](ctx, x, query+` ORDER BY id`, args...)
	if err != nil {
		return nil, fmt.Errorf("match machines: %w", err)
	}
	return ms, nil
}

// PutMachine implements inventory.MachineStore.
func (x *tx) PutMachine(ctx context.Context, m *inventory.Machine) error {
	if err := inventory.CheckName(m.Name); err != nil {
		return err
	}
	next := *m
	next.Revision++
	text, err := encode(&next)
	if err != nil {
		return err
	}
	if err := x.writeMachine(ctx, m, text); err != nil {
		return err
	}
	if err := x.writeMACs(ctx, m); err != nil {
		return err
	}
	if err := x.writeUserData(ctx, m); err != nil {
		return err
	}
	m.Revision++
	return nil
}

func (x *tx) writeMachine(ctx context.Context, m *inventory.Machine, text string) error {
	id := m.Identity
	if m.Revision == 0 {
		_, err := x.exec(ctx, `INSERT INTO machines (id, name, uuid, serial, state, revision, doc) VALUES (?, ?, ?, ?, ?, 1, ?)`,
			m.ID, m.Name, id.UUID, id.Serial, string(m.Status.State), text)
		return x.machineError(m, err)
	}
	n, err := x.exec(ctx, `UPDATE machines SET name = ?, uuid = ?, serial = ?, state = ?, revision = revision + 1, doc = ? WHERE id = ? AND revision = ?`,
		m.Name, id.UUID, id.Serial, string(m.Status.State), text, m.ID, m.Revision)
	if err != nil {
		return x.machineError(m, err)
	}
	if n == 0 {
		return inventory.Conflict("machine %s changed meanwhile (revision %d is old)", m.Name, m.Revision)
	}
	return nil
}

func (x *tx) machineError(m *inventory.Machine, err error) error {
	if taken(err) {
		return inventory.Conflict("machine name %q is taken", m.Name)
	}
	if err != nil {
		return fmt.Errorf("write machine %s: %w", m.Name, err)
	}
	return nil
}

func (x *tx) writeMACs(ctx context.Context, m *inventory.Machine) error {
	if _, err := x.exec(ctx, `DELETE FROM macs WHERE machine = ?`, m.ID); err != nil {
		return fmt.Errorf("write machine %s: %w", m.Name, err)
	}
	for _, mac := range m.Identity.MACs {
		_, err := x.exec(ctx, `INSERT INTO macs (mac, machine) VALUES (?, ?)`, string(mac), m.ID)
		if taken(err) {
			return inventory.Conflict("MAC %s belongs to another machine than %s", mac, m.Name)
		}
		if err != nil {
			return fmt.Errorf("write machine %s: %w", m.Name, err)
		}
	}
	return nil
}

func (x *tx) writeUserData(ctx context.Context, m *inventory.Machine) error {
	if m.Spec.UserData == nil {
		return nil
	}
	_, err := x.exec(ctx, `INSERT INTO user_data (machine, data) VALUES (?, ?) ON CONFLICT (machine) DO UPDATE SET data = excluded.data`,
		m.ID, m.Spec.UserData)
	if err != nil {
		return fmt.Errorf("write user data of %s: %w", m.Name, err)
	}
	return nil
}

// UserData implements inventory.MachineStore.
func (x *tx) UserData(ctx context.Context, id string) ([]byte, error) {
	var data []byte
	err := x.row(ctx, `SELECT data FROM user_data WHERE machine = ?`, id).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user data of %s: %w", id, err)
	}
	return data, nil
}

// DeleteMachine implements inventory.MachineStore.
func (x *tx) DeleteMachine(ctx context.Context, id string) error {
	n, err := x.exec(ctx, `DELETE FROM machines WHERE id = ?`, id)
	if err != nil {
		return fmt.Errorf("delete machine %s: %w", id, err)
	}
	if n == 0 {
		return inventory.NotFound("machine", id)
	}
	return nil
}

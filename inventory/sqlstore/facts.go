package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
)

// AddFacts implements inventory.MachineStore.
func (x *tx) AddFacts(ctx context.Context, id string, f *inventory.Facts) (int, error) {
	digest, err := factsDigest(f)
	if err != nil {
		return 0, err
	}
	var newest int
	var same string
	err = x.row(ctx, `SELECT version, digest FROM facts WHERE machine = ? ORDER BY version DESC LIMIT 1`, id).Scan(&newest, &same)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read facts of %s: %w", id, err)
	}
	if same == digest {
		return newest, nil
	}
	stored := *f
	stored.Version = newest + 1
	text, err := encode(&stored)
	if err != nil {
		return 0, err
	}
	if _, err := x.exec(ctx, `INSERT INTO facts (machine, version, digest, doc) VALUES (?, ?, ?, ?)`, id, newest+1, digest, text); err != nil {
		return 0, fmt.Errorf("write facts of %s: %w", id, err)
	}
	return newest + 1, nil
}

// factsDigest hashes what makes two sets of facts the same: all but times, and what
// changes by itself from boot to boot (addresses, temperatures, hours).
func factsDigest(f *inventory.Facts) (string, error) {
	still := *f
	still.Version, still.At, still.Agent.ToFacts = 0, time.Time{}, 0
	still.Disks = append([]inventory.Disk(nil), f.Disks...)
	for i := range still.Disks {
		if h := still.Disks[i].Health; h != nil {
			calm := *h
			calm.TemperatureC, calm.PowerOnHours = 0, 0
			still.Disks[i].Health = &calm
		}
		still.Disks[i].Signatures = nil
	}
	still.NICs = append([]inventory.NIC(nil), f.NICs...)
	for i := range still.NICs {
		still.NICs[i].Addresses = nil
	}
	text, err := encode(&still)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:]), err
}

// Facts implements inventory.MachineStore.
func (x *tx) Facts(ctx context.Context, id string, version int) (*inventory.Facts, error) {
	if version == 0 {
		return doc[*inventory.Facts](ctx, x, "facts of machine", id,
			`SELECT doc FROM facts WHERE machine = ? ORDER BY version DESC LIMIT 1`, id)
	}
	return doc[*inventory.Facts](ctx, x, "facts of machine", id, `SELECT doc FROM facts WHERE machine = ? AND version = ?`, id, version)
}

package sqlstore

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// checkpointEvery is the pause between two checkpoints of a database that is written to.
const checkpointEvery = 100 * time.Millisecond

// checkpointer copies what was committed from SQLite's log to the database, beside the
// writer (PRAGMA wal_checkpoint(PASSIVE)): a commit that does it itself is held up by it.
type checkpointer struct {
	db      *sql.DB
	dirty   chan struct{}
	stop    context.CancelFunc
	working sync.WaitGroup
}

func newCheckpointer(db *sql.DB) *checkpointer {
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpointer{db: db, dirty: make(chan struct{}, 1), stop: stop}
	c.working.Go(func() { c.run(ctx) })
	return c
}

// wrote is told of each commit.
func (c *checkpointer) wrote() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

func (c *checkpointer) run(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-c.dirty:
		}
		// What fails is done by the writer, when its log is long.
		_, _ = c.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		pause.Reset(checkpointEvery)
	}
}

func (c *checkpointer) close() error {
	c.stop()
	c.working.Wait()
	return c.db.Close()
}

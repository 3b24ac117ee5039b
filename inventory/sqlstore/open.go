package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	_ "modernc.org/sqlite" // the "sqlite" driver

	"ingot/inventory"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an inventory.Store on a SQL database.
type Store struct {
	write *sql.DB
	read  *sql.DB
	pg    bool
	feed  feed
	// prepared are the statements that run for each lease, sighting and event: parsing
	// was a third of the work of a lease.
	prepared map[string]*sql.Stmt
	// checkpoint is nil for PostgreSQL.
	checkpoint *checkpointer
}

// hot are the texts of the prepared statements.
func hot() []string {
	texts := []string{sightingDoc, putSighting, nextEvent, putEvent}
	for _, put := range addressPuts {
		texts = append(texts, put.query)
	}
	return texts
}

var _ inventory.Store = (*Store)(nil)

// OpenSQLite opens or creates the database file, which must lie in a directory that
// one process at a time uses. A file from a newer version is ErrUnsupported.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	write, err := openSQLite(path, "immediate", 1)
	if err != nil {
		return nil, err
	}
	read, err := openSQLite(path, "deferred", 4, "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	behind, err := openSQLite(path, "deferred", 1)
	if err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	s := &Store{write: write, read: read, checkpoint: newCheckpointer(behind)}
	return s.migrated(ctx, database.DialectSQLite3, path)
}

// OpenPostgres connects to a PostgreSQL database by URL.
func OpenPostgres(ctx context.Context, dsn string) (*Store, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	db.SetMaxOpenConns(8)
	s := &Store{write: db, read: db, pg: true}
	return s.migrated(ctx, database.DialectPostgres, "of PostgreSQL")
}

func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return f.Close()
}

func openSQLite(path, lock string, conns int, pragmas ...string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	// Checkpoints are made beside the commits (see checkpointer). Only when the log has
	// 16 MB in spite of that, a commit makes one itself, which lets the log begin anew.
	pragmas = append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)", "wal_autocheckpoint(4000)"}, pragmas...)
	q := url.Values{"_txlock": {lock}, "_pragma": pragmas}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: abs}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	db.SetMaxOpenConns(conns)
	return db, nil
}

func (s *Store) migrated(ctx context.Context, dialect database.Dialect, name string) (*Store, error) {
	if err := s.migrate(ctx, dialect, name); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.feed.init()
	s.prepared = map[string]*sql.Stmt{}
	for _, query := range hot() {
		stmt, err := s.write.PrepareContext(ctx, bind(s.pg, query))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare database %s: %w", name, err), s.Close())
		}
		s.prepared[query] = stmt
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context, dialect database.Dialect, name string) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, s.write, dir)
	if err != nil {
		return fmt.Errorf("open database %s: %w", name, err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("open database %s: %w", name, err)
	}
	if have > want {
		return fmt.Errorf("database %s has schema %d and this program knows %d: it was written by a newer ingot; install that version or restore an older backup: %w",
			name, have, want, inventory.ErrUnsupported)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate database %s: %w", name, err)
	}
	return nil
}

// Close ends all followers and closes the database.
func (s *Store) Close() error {
	s.feed.close()
	var err error
	for _, stmt := range s.prepared {
		err = errors.Join(err, stmt.Close())
	}
	if s.checkpoint != nil {
		err = errors.Join(err, s.checkpoint.close())
	}
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	return errors.Join(err, s.write.Close())
}

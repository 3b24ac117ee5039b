package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"ingot/inventory"
)

// tx implements inventory.Tx over one SQL transaction.
type tx struct {
	sql    *sql.Tx
	pg     bool
	events bool
	// prepared is Store.prepared, and bound those used in this transaction. A view has
	// none.
	prepared, bound map[string]*sql.Stmt
}

var _ inventory.Tx = (*tx)(nil)

// retries bounds how often a PostgreSQL transaction that lost a race is run again.
const retries = 10

// Update implements inventory.Store.
func (s *Store) Update(ctx context.Context, f func(inventory.Tx) error) error {
	var err error
	for range retries {
		var wrote bool
		wrote, err = s.update(ctx, f)
		if err == nil && wrote {
			s.feed.changed()
		}
		if !lostRace(err) {
			return err
		}
	}
	return fmt.Errorf("store: %w", err)
}

func (s *Store) update(ctx context.Context, f func(inventory.Tx) error) (wroteEvents bool, err error) {
	opts := &sql.TxOptions{}
	if s.pg {
		opts.Isolation = sql.LevelRepeatableRead
	}
	t, err := s.write.BeginTx(ctx, opts)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	x := &tx{sql: t, pg: s.pg, prepared: s.prepared, bound: map[string]*sql.Stmt{}}
	if err := f(x); err != nil {
		return false, errors.Join(err, ignoreDone(t.Rollback()))
	}
	if err := t.Commit(); err != nil {
		return false, fmt.Errorf("commit: %w", err)
	}
	if s.checkpoint != nil {
		s.checkpoint.wrote()
	}
	return x.events, nil
}

// View implements inventory.Store.
func (s *Store) View(ctx context.Context, f func(inventory.Tx) error) error {
	t, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: s.pg, Isolation: s.viewIsolation()})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err = f(&tx{sql: t, pg: s.pg})
	return errors.Join(err, ignoreDone(t.Rollback()))
}

func (s *Store) viewIsolation() sql.IsolationLevel {
	if s.pg {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// lostRace reports PostgreSQL's serialization failure and deadlock (SQLSTATE class 40).
func lostRace(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "40")
}

// taken reports a violated unique constraint of either database.
func taken(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	return err != nil && strings.Contains(err.Error(), "UNIQUE constraint failed")
}

func (x *tx) bind(query string) string { return bind(x.pg, query) }

// bind rewrites ? to $1, $2 for PostgreSQL.
func bind(pg bool, query string) string {
	if !pg {
		return query
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (x *tx) exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	var res sql.Result
	if stmt := x.statement(ctx, query); stmt != nil {
		res, err = stmt.ExecContext(x.unwatched(ctx), args...)
	} else {
		res, err = x.sql.ExecContext(ctx, x.bind(query), args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (x *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt := x.statement(ctx, query); stmt != nil {
		return stmt.QueryRowContext(x.unwatched(ctx), args...)
	}
	return x.sql.QueryRowContext(ctx, x.bind(query), args...)
}

// unwatched is the context for a short statement. SQLite's driver starts a goroutine for
// each statement that could be cancelled, which costs more than a lease's statement does;
// what waits for other writers, and can take long, is the begin of the transaction.
func (x *tx) unwatched(ctx context.Context) context.Context {
	if x.pg {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// statement returns a prepared statement within this transaction, nil when there is none
// for the query.
func (x *tx) statement(ctx context.Context, query string) *sql.Stmt {
	if stmt := x.bound[query]; stmt != nil {
		return stmt
	}
	prepared := x.prepared[query]
	if prepared == nil {
		return nil
	}
	stmt := x.sql.StmtContext(ctx, prepared)
	x.bound[query] = stmt
	return stmt
}

// docs runs a query whose only column is a JSON document and decodes each row.
func docs[T any](ctx context.Context, x *tx, query string, args ...any) ([]T, error) {
	rows, err := x.sql.QueryContext(ctx, x.bind(query), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		v, err := decode[T](text)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// doc runs a query for one JSON document; none is inventory.ErrNotFound.
func doc[T any](ctx context.Context, x *tx, what, name, query string, args ...any) (T, error) {
	var text string
	err := x.row(ctx, query, args...).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		var none T
		return none, inventory.NotFound(what, name)
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("read %s %s: %w", what, name, err)
	}
	return decode[T](text)
}

// marks returns n parameters of a statement, as in "?, ?, ?".
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

package sqlstore

import (
	"database/sql"
	"fmt"
)

func dsn(dir, name string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s", dir, name)
}

func sqlOpen(dir, name string) (*sql.DB, error) { return sql.Open("pgx", dsn(dir, name)) }

// Package sqlstore keeps the inventory in SQL: SQLite in the data directory (WAL, one
// writer, synchronous=FULL) or PostgreSQL. One set of statements and migrations serves
// both; inventory/storetest is the contract they pass.
//
// Decisions
//
//   - 2026-11-24: rows are JSON documents with the columns that queries need beside
//     them. The document is the domain type, so a field added there needs no migration.
//   - 2026-11-24: an event's number comes from a counter row, not from a sequence: the
//     row lock makes commit order and number order the same on PostgreSQL too, so
//     a follower never skips an event that commits late.
//   - 2026-11-28: SQLite's checkpoints are made by a connection of their own beside the
//     writer. In the commits, in small steps, they cost a fifth of the leases in a second
//     and a third of the 99th percentile's time.
package sqlstore

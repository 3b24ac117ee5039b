-- +goose Up
CREATE TABLE machines (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  uuid TEXT NOT NULL,
  serial TEXT NOT NULL,
  state TEXT NOT NULL,
  revision BIGINT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX machines_uuid ON machines (uuid);
CREATE INDEX machines_state ON machines (state);
CREATE INDEX machines_serial ON machines (serial);
CREATE TABLE macs (
  mac TEXT PRIMARY KEY,
  machine TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE
);
CREATE INDEX macs_machine ON macs (machine);
CREATE TABLE user_data (
  machine TEXT PRIMARY KEY REFERENCES machines (id) ON DELETE CASCADE,
  data BYTEA NOT NULL
);
CREATE TABLE facts (
  machine TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  version BIGINT NOT NULL,
  digest TEXT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (machine, version)
);
CREATE TABLE sessions (
  token_hash TEXT PRIMARY KEY,
  machine TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  boot TEXT NOT NULL,
  created TEXT NOT NULL,
  trusted BIGINT NOT NULL
);
CREATE INDEX sessions_machine ON sessions (machine);
CREATE TABLE addresses (
  ip TEXT PRIMARY KEY,
  network TEXT NOT NULL,
  mac TEXT NOT NULL,
  client TEXT NOT NULL,
  machine TEXT NOT NULL,
  forced BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX addresses_network ON addresses (network);
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('events', 0);
CREATE TABLE events (
  seq BIGINT PRIMARY KEY,
  machine TEXT NOT NULL,
  kind TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX events_machine ON events (machine, seq);
CREATE TABLE sightings (
  mac TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  last BIGINT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (mac, kind, detail)
);
CREATE INDEX sightings_last ON sightings (last);
CREATE TABLE networks (
  name TEXT PRIMARY KEY,
  doc TEXT NOT NULL
);
CREATE TABLE images (
  digest TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE TABLE channels (
  name TEXT NOT NULL,
  channel TEXT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (name, channel)
);
CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

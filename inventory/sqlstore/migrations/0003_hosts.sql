-- +goose Up
CREATE TABLE hosts (
  name TEXT PRIMARY KEY,
  doc TEXT NOT NULL,
  sealed TEXT NOT NULL
);

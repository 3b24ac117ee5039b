-- +goose Up
CREATE TABLE rollouts (
  id TEXT PRIMARY KEY,
  created TEXT NOT NULL,
  doc TEXT NOT NULL
);
CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  doc TEXT NOT NULL
);

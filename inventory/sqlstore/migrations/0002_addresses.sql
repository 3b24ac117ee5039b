-- +goose Up
-- No query could use it, and every lease paid for it.
DROP INDEX addresses_network;

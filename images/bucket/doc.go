// Package bucket shares image stores between servers through a bucket of an
// S3-compatible endpoint.
//
// Each server keeps its own store (package images) and works with that one alone: it
// boots, serves and derives when the bucket can't be reached. A [Share] brings what the
// store has to the bucket and what the channels in the bucket point to from it. Below the
// prefix:
//
//	chunks/sha256/AB/HEX             the zstd frame of a chunk, by the name that it has in a store
//	blobs/sha256/HEX/manifest.json   the first object of an image that is put there
//	blobs/sha256/HEX/files/NAME, tests/ID/NAME, signatures/KEY.minisig
//	blobs/sha256/HEX/image.json      the last one: with it the image is there
//	channels/NAME.json               the name's channels and every move of them
//	servers/ID.json                  what a server has and why, when it wrote that
//	damaged/HEX                      a chunk that a server found damaged; who has it puts it anew
//	collecting.json                  a collection is under way, by whom and until when
//	check-ID                         the check of the bucket when a server starts
//
// Decisions of 2026-11-28:
//
//   - The local store stays the one that is read. A bucket as the only store would put its
//     latency and its failures between a rack and its boot.
//   - The bucket is the truth about channels. A move is a conditional PUT, relative to what
//     this server last saw: of two that move at once one gets inventory.ErrConflict. While
//     the bucket can't be reached nothing moves. The history is in the same object, unlike
//     in the folder: one PUT can't lose half of a move.
//   - Documents are added to an image and never replaced: both sides end with all of them.
//   - Who pushes puts the manifest first and then looks for collecting.json; who collects
//     puts collecting.json first and then reads the manifests, servers and channels. One
//     of them sees the other, so no chunk goes that an image under way counts on, without
//     a lock that a dead server could hold: collecting.json says when it ends.
//   - What a server has and its own rules keep stays in the bucket: see [Share.Plan]. A server that
//     was away for longer than the configured time counts no more; when it is back it puts
//     there again what it has.
//
// The endpoint must honour If-Match and If-None-Match and show at once what was put, as
// S3 does; [Share.Check] refuses one that ignores the conditions. The servers' clocks
// should agree to a minute.
package bucket

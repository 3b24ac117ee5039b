// Package rollout brings a version of an image to many machines: in batches, with a
// pause between them, and not further than the failures allow.
//
// A rollout stands in the inventory, so it goes on after a restart of the server. Each
// machine is deployed by lifecycle as by a person's order; a person's own order to one
// of its machines takes that one out of it.
package rollout

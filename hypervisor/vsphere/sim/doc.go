// Package sim is a vCenter Server or ESXi host for tests: govmomi's simulator (vcsim)
// behind a strict front that refuses what the real thing is documented to refuse, and does
// what vcsim only pretends to do. Table lists the refusals with their sources.
//
// vcsim alone takes a linked clone of a snapshot that is not there, throws uploaded disks
// away, forgets a clone's firmware, lets a base be destroyed under its clones and does
// nothing when it reverts: a driver that passes against it proves the shape of its
// requests only.
//
// The front also records requests, makes the n-th changing call fail, holds tasks back and
// ends sessions. It listens on the loopback address. It is imported by tests only.
package sim

// Package trial boots a set of boot files as a machine would, before any machine does: a
// virtual machine in a rack of its own (package lab), served by an `ingot serve` of its own
// in the rack's network namespace, from power-on until its agent has reported facts.
//
// The test's server has a data directory, an inventory and ports of its own: nothing of the
// test is seen by the server that the set is for. It goes through all that a machine goes
// through: DHCP, the loaders by TFTP, scripts, kernel and both stages, TLS, the agent's
// API. The machine's disks want drivers from the second stage: facts without them are a
// failure.
//
// Needs root and network namespaces, QEMU, and OVMF for UEFI.
package trial

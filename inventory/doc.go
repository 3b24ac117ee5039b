// Package inventory is the domain of Ingot: the nouns (machine, image, network,
// address, event), the rules that hold for them whatever protocol or hypervisor is
// in use (state transitions, identity match), and the contracts that storage fulfils
// (Store, Tx, Feed). It imports only the standard library; every adapter speaks its
// types, and no adapter knows the next.
//
// Decisions
//
//   - 2026-11-24: a machine is stored as one document with a revision; the columns
//     beside it (name, state, MACs) exist to find it. A Put with a stale revision is
//     ErrConflict, so that two writers can't lose each other's change.
//   - 2026-11-24: failure is not a state. Status.Error stands beside the state, and
//     the state keeps the phase in which it happened.
package inventory

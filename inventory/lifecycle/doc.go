// Package lifecycle compares what is wanted of a machine with what is, and takes the
// next step, for metal and VM alike. It is the only package that changes a state.
//
// Advance is short and repeatable: it looks at one machine in one transaction, changes
// phase or state when the evidence for it is there (an agent's report, a phone-home,
// silence), and returns. It never waits for a machine. Run calls it for every machine
// that an event or a due time names; after a restart nothing is remembered but what
// the store holds, so an interrupted deploy goes on where it was.
package lifecycle

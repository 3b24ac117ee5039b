// Package nightly runs what is to be done again and again: builds of images.
//
// When something is due is a row of the inventory, written before its time comes: a
// server that was down at that time runs it when it is up, once. A run under way is in
// the row as well: a server that finds one when it starts begins it anew. One run goes
// at a time, in the order in which they were due, because a build wants the whole
// machine.
//
// Decided on 2026-11-28: this needs no engine for jobs of any kind. What belongs to a
// machine is in the machine's state, a rollout is a row of its own, and webhooks follow
// the events by a cursor.
package nightly

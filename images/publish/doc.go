// Package publish takes an image from its recipe to a channel: built, looked into, kept,
// boot-tested, signed, and only then pointed to.
//
// A channel that machines may follow moves only to a version whose newest boot test of
// every mode passed. A version is never built again on its way from one channel to the
// next: what was tested is what is promoted. The one exception is a channel that never
// pointed anywhere, which nobody can follow yet.
package publish

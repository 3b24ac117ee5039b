// Package daemon is "ingot serve": configuration, the wiring of all parts, their start
// and stop. It decides nothing.
package daemon

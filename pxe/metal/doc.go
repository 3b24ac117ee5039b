// Package metal carries out lifecycle's steps on metal: it tells the agent what to do.
// One file per step. Nothing here waits; the agent asks, and the answer is made from
// the machine's state.
package metal

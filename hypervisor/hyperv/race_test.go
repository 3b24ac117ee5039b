//go:build race

package hyperv_test

// raced: the race detector makes packing seeds slow, so the suites leave most of them out.
const raced = true

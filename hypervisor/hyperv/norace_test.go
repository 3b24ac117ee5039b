//go:build !race

package hyperv_test

const raced = false

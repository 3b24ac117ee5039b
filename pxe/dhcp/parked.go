package dhcp

import (
	"slices"
)

// parkedMax bounds the DISCOVERs of unknown clients that wait for the stock, and twice
// that all; the others are repeated by their clients.
const parkedMax = 256

// park keeps a DISCOVER until the stock is filled, and reports whether there was room.
func (b *book) park(in inbound, stranger bool) bool {
	if n := len(b.parked); n >= 2*parkedMax || stranger && n >= parkedMax {
		return false
	}
	in.data = slices.Clone(in.data)
	in.parked = true
	b.parked = append(b.parked, in)
	return true
}

// unpark returns what waits.
func (b *book) unpark() []inbound {
	waiting := b.parked
	b.parked = nil
	return waiting
}

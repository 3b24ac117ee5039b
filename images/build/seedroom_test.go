package build_test

import (
	"bytes"
	"testing"

	"ingot/inventory/seed"
)

// TestSeedRoom checks that the packed seed fits the room an image leaves free.
func TestSeedRoom(t *testing.T) {
	packed, err := seed.Pack(seed.Documents{MetaData: []byte("{}"), UserData: bytes.Repeat([]byte("#"), 100)}, 512)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 6<<20 {
		t.Errorf("a seed takes %d bytes, an image leaves 6 MiB free for certain", len(packed))
	}
}

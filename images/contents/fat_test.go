package contents_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"ingot/images/contents/contentstest"
)

// TestFAT: files of any size are read whole, and nothing behind their end.
func TestFAT(t *testing.T) {
	esp, source := contentstest.Tree{}, rand.NewChaCha8([32]byte{})
	for _, n := range []int{0, 1, 511, 512, 513, 700, 2047, 2048, 2049, 5000, 70_001, 1_000_000} {
		b := make([]byte, n)
		_, _ = source.Read(b) // never errors
		esp[fmt.Sprintf("f%d", n)] = string(b)
	}
	d := open(t, contentstest.Tree{"etc/": ""}, esp)
	for name, want := range esp {
		if got, err := d.ESP.ReadFile(name, 1<<20); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, right until %d, %v", name, len(got), same(string(got), want), err)
		}
	}
}

func same(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

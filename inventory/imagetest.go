package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ImageTest is one boot of an image that was watched to its end.
type ImageTest struct {
	// ID names it below its image: "20261128T020000-uefi".
	ID string `json:"id"`
	// Mode is how it was started: bios, uefi or secureboot.
	Mode    string    `json:"mode"`
	Passed  bool      `json:"passed"`
	Started time.Time `json:"started"`
	// Seconds it took.
	Seconds float64 `json:"seconds"`
	// Accelerated tells KVM from emulation.
	Accelerated bool `json:"accelerated"`
	// Problem is why it did not pass.
	Problem string `json:"problem,omitempty"`
	// Checks are what was asserted, in order.
	Checks []ImageCheck `json:"checks,omitempty"`
}

// ImageCheck is one assertion of a boot test.
type ImageCheck struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail,omitempty"`
}

// TestOf returns the newest test of a mode, and false when there is none.
func (i Image) TestOf(mode string) (ImageTest, bool) {
	for _, t := range slices.Backward(i.Tests) {
		if t.Mode == mode {
			return t, true
		}
	}
	return ImageTest{}, false
}

// Proven is nil when the newest boot test of every mode that the image boots in passed;
// else an ErrConflict that says which did not, and what to do.
func (i Image) Proven() error {
	var missing []string
	for _, mode := range i.BootModes {
		t, ok := i.TestOf(mode)
		switch {
		case !ok:
			missing = append(missing, mode+" was not tested")
		case !t.Passed:
			missing = append(missing, fmt.Sprintf("%s failed (%s)", mode, t.Problem))
		}
	}
	if len(i.BootModes) == 0 {
		missing = append(missing, "it is not known by what firmware it boots")
	}
	if missing == nil {
		return nil
	}
	ref := ImageRef{Name: i.Name, Digest: i.Digest}
	return fmt.Errorf("image %s has not passed its boot test: %s; run: ingot image test %s: %w", ref, strings.Join(missing, ", "), ref, ErrConflict)
}

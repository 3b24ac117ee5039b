package publish_test

import (
	"os"
	"strings"
	"testing"

	"ingot/images/build"
	"ingot/images/publish"
)

// TestBoot takes the recipes that INGOT_BOOT_TEST names ("tiny", "debian-12", or more with
// commas) to a channel: built, looked into, booted by every firmware they are for.
// INGOT_BOOT_STORE keeps the image store for the next run.
func TestBoot(t *testing.T) {
	names := os.Getenv("INGOT_BOOT_TEST")
	if names == "" || testing.Short() {
		t.Skip("boots take minutes: set INGOT_BOOT_TEST=tiny,debian-12 and leave -short out")
	}
	p := bootPublisher(t)
	for name := range strings.SplitSeq(names, ",") {
		t.Run(name, func(t *testing.T) {
			recipe, err := build.EmbeddedRecipe(name)
			if err != nil {
				t.Fatal(err)
			}
			step := func(s publish.Step) { t.Log(s.Name) }
			made, err := p.Build(t.Context(), publish.Order{Recipe: recipe}, t.Output(), step)
			if err != nil {
				t.Fatal(err)
			}
			image, err := p.Test(t.Context(), made.Image, nil, false, step)
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range image.Tests {
				t.Logf("%s: passed %v in %.0f s %s", test.Mode, test.Passed, test.Seconds, test.Problem)
				for _, c := range test.Checks {
					t.Logf("  %-24s %-5v %s", c.Name, c.Passed, c.Detail)
				}
			}
			if err := image.Proven(); err != nil {
				t.Error(err)
			}
		})
	}
}

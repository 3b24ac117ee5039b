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
			builtAndBooted(t, p, publish.Order{Recipe: recipe})
		})
	}
}

package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
)

func (a *app) imageShow() *cobra.Command {
	return &cobra.Command{Use: "show REF", Short: "Show an image: what it is, where it comes from, how it was tested", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		image, err := c.Image(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.documentOr(image, func() error {
			a.showImage(image)
			return nil
		})
	}}
}

func (a *app) showImage(image inventory.Image) {
	line := keyLine(a.out)
	line("name", "%s@%s", image.Name, image.Digest)
	line("version", "%s", dash(image.Version))
	line("size", "%s, %s stored", inventory.FormatBytes(image.SizeBytes), inventory.FormatBytes(image.StoredBytes))
	line("sectors", "%d bytes", image.LogicalSectorBytes)
	line("boots", "%s", dash(strings.Join(image.BootModes, ", ")))
	line("first boot", "%s", image.FirstBoot)
	line("grows", "%s", dash(image.GrowPartition))
	line("content", "%s", dash(image.ContentDigest))
	line("origin", "%s", dash(image.Origin))
	if image.RecipeDigest != "" {
		line("recipe", "%s", image.RecipeDigest)
		line("inputs", "%s", dash(image.InputsDigest))
		line("builder", "%s", dash(image.Builder))
	}
	line("signed by", "%s", dash(strings.Join(image.Signers, ", ")))
	line("created", "%s", image.Created.Local().Format(time.DateTime))
	for _, t := range image.Tests {
		line("test", "%s", testText(t))
	}
}

func testText(t inventory.ImageTest) string {
	text := fmt.Sprintf("%s %s in %.0f s", t.Mode, verdict(t.Passed), t.Seconds)
	if !t.Accelerated {
		text += ", emulated"
	}
	if t.Problem != "" {
		text += ": " + t.Problem
	}
	return text + " (" + t.Started.Local().Format(time.DateTime) + ")"
}

func verdict(passed bool) string {
	if passed {
		return "passed"
	}
	return "failed"
}

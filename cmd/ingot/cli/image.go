package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) image() *cobra.Command {
	return group("image", "Golden images: build, test, sign, promote, roll out", a.imageList(), a.imageShow(), a.imageBuild(), a.imageImport(), a.imageTest(),
		a.imagePromote(), a.imageRollback(), a.imageHistory(), a.imageDiff(), a.imageLint(), a.imageExport(), a.imageSign(), a.imageVerify(), a.imageKey(),
		a.imageCollect(), a.imageRefresh(), a.imageSchedule(), a.imageRollout(), a.imageRollouts())
}

func (a *app) imageList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List images", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		rows, err := c.Images(cmd.Context())
		if err != nil {
			return err
		}
		type r = api.ImageRow
		now := time.Now()
		return list(a, rows, []column[r]{
			{"NAME", false, func(x r) string { return x.Name }},
			{"VERSION", false, func(x r) string { return x.Version }},
			{"CHANNELS", false, func(x r) string { return strings.Join(x.Channels, ",") }},
			{"SIZE", false, func(x r) string { return inventory.FormatBytes(x.SizeBytes) }},
			{"STORED", false, func(x r) string { return inventory.FormatBytes(x.StoredBytes) }},
			{"BOOTS", false, func(x r) string { return strings.Join(x.BootModes, ",") }},
			{"TESTED", false, func(x r) string { return tested(x.Image) }},
			{"SIGNED", true, func(x r) string { return strings.Join(x.Signers, ",") }},
			{"AGE", false, func(x r) string { return age(x.Created, now) }},
			{"DIGEST", false, func(x r) string { return shortDigest(x.Digest, a.output == "wide") }},
		})
	}}
}

func shortDigest(d string, whole bool) string {
	if whole {
		return d
	}
	return d[:min(len(d), len("sha256:")+12)]
}

// shortRef is a reference to an image as a listing has it: NAME@sha256: and twelve digits,
// which every command takes.
func shortRef(ref string) string {
	name, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return ref
	}
	return name + "@" + shortDigest(digest, false)
}

// tested says how the newest boot tests came out: "passed", "failed", "partly", or nothing.
func tested(i inventory.Image) string {
	passed, failed := 0, 0
	for _, mode := range i.BootModes {
		if t, ok := i.TestOf(mode); ok && t.Passed {
			passed++
		} else if ok {
			failed++
		}
	}
	switch {
	case failed > 0:
		return "failed"
	case passed > 0 && passed == len(i.BootModes):
		return "passed"
	case passed > 0:
		return "partly"
	}
	return ""
}

package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

const refreshLong = `Servers that share a bucket (the configuration's images.bucket) look at it now and then.
This looks now, and lists what is there. With REF it fetches that image, also one that no
channel points to: NAME@sha256:HEX.`

func (a *app) imageRefresh() *cobra.Command {
	return &cobra.Command{Use: "refresh [REF]", Short: "Look at the bucket that is shared with other servers, or fetch an image from it", Long: refreshLong, Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			b := newBar(a.err)
			rows, err := c.Refresh(cmd.Context(), api.ImageRefresh{Image: strings.Join(args, "")}, func(l api.WorkLine) { showWork(b, l) })
			b.done()
			if err != nil {
				return err
			}
			type r = api.ImageShared
			now := time.Now()
			return list(a, rows, []column[r]{
				{"NAME", false, func(x r) string { return x.Name }},
				{"VERSION", false, func(x r) string { return x.Version }},
				{"CHANNELS", false, func(x r) string { return strings.Join(x.Channels, ",") }},
				{"STORED", false, func(x r) string { return inventory.FormatBytes(x.StoredBytes) }},
				{"HERE", false, func(x r) string { return yesNo(x.Here) }},
				{"AGE", false, func(x r) string { return age(x.Created, now) }},
				{"DIGEST", false, func(x r) string { return shortDigest(x.Digest, a.output == "wide") }},
			})
		}}
}

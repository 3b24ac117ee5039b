package build

import (
	"context"
	"io"
	"path/filepath"

	"ingot/inventory"
)

// FieldsOf is for the test that compares the schema with the Go types.
var FieldsOf = fieldsOf

// UnpackOCI reads the layers of an OCI recipe and does no more.
func UnpackOCI(ctx context.Context, r Recipe, o Options) error {
	b := &build{recipe: r, opts: o, log: io.Discard, dir: o.Dir}
	t, err := newTree(filepath.Join(o.Dir, "spool"))
	if err != nil {
		return err
	}
	if err := b.ociLayers(ctx, t); err != nil {
		return inventory.Invalid("%v", err)
	}
	return b.checkInit(t)
}

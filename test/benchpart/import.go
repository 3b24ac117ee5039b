package main

import (
	"context"
	"errors"

	"ingot/images"
	"ingot/images/master"
)

// importFile STORE FILE [compress]: an import into a store that has nothing yet, as a
// server does it.
func importFile(args []string) error {
	if len(args) != 2 && (len(args) != 3 || args[2] != "compress") {
		return errors.New("usage: benchpart import STORE FILE [compress]")
	}
	store, err := images.NewStore(args[0])
	if err != nil {
		return err
	}
	o := rawOptions("")
	o.Later = true
	if _, err = store.Import(context.Background(), args[1], o); err != nil || len(args) == 2 {
		return err
	}
	return store.Compress(context.Background(), nil)
}

// rawOptions are of a disk of which nothing is known but its format.
func rawOptions(format images.Format) images.ImportOptions {
	return images.ImportOptions{Name: "bench", Format: format, Traits: master.Traits{SectorBytes: 512, FirstBoot: master.FirstBootNone}}
}

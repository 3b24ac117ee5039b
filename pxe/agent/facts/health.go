package facts

import (
	"errors"
	"fmt"

	"ingot/inventory"
)

// health asks the device how it is, in the way of its kind. Disks behind USB bridges are
// not asked: some bridges hang on a command they don't know. Nil with an error means
// that it says nothing, which is common.
func (r *reading) health(d inventory.Disk) (*inventory.DiskHealth, error) {
	switch {
	case d.Transport == "nvme":
		return r.nvmeHealth(d.Name)
	case d.Transport == "sata", d.Transport == "sas" && r.text(blockDir, d.Name, "device/vendor") == vendorATA:
		return r.ataHealth(d.Name)
	case d.Transport == "sas", d.Transport == "scsi", d.Transport == "fc", d.Transport == "iscsi":
		return r.scsiHealth(d.Name)
	}
	return nil, fmt.Errorf("health of a %s disk: %w", d.Transport, errors.ErrUnsupported)
}

// wornPercent is where wear becomes worth a warning; 100 is the maker's estimate of the
// end.
const wornPercent = 90

func warnWorn(h *inventory.DiskHealth) {
	if h.PercentUsed >= wornPercent {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%d %% of the rated writes are used", h.PercentUsed))
	}
}

package agent

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ingot/pxe/agent/facts"
	"ingot/pxe/agentapi"
)

// firstModules are needed for the network and the session, and have no modalias, or are
// wanted before the others. extraModules serve what no modalias names.
var (
	firstModules = []string{"af_packet", "virtio_pci", "virtio_rng", "virtio_net"}
	extraModules = []string{"configfs", "netconsole", "ipmi_devintf", "ipmi_si"}
)

// prepare brings the machine to where the server can be asked: network, second stage,
// all modules.
func (a *Agent) prepare(ctx context.Context, modules *loader) error {
	var err error
	if a.neighbours, err = facts.Listen(ctx, a.log); err != nil {
		a.log.Warn("listen for LLDP", "err", err)
	}
	api, err := url.Parse(a.params.API)
	if err != nil {
		return err
	}
	c := connector{mac: a.params.MAC, server: api.Host, plug: modules.coldplug, log: a.log}
	if a.lease, err = c.connect(ctx); err != nil {
		return err
	}
	a.client.Store(agentapi.NewClient(a.params.API, a.params.Pin))
	second, err := openStage(ctx, "/", a.fetch, a.stageURL())
	if err != nil {
		return err
	}
	a.log.Info("second stage", "after", sinceKernel())
	if modules, err = newLoader("/", second); err != nil {
		return err
	}
	err = errors.Join(modules.coldplug(), modules.load(extraModules...), modules.loadEFI(), mountAll())
	a.log.Info("drivers", "after", sinceKernel())
	if err = errors.Join(err, settle(ctx, "/sys", modules.coldplug)); err != nil {
		a.log.Warn("some modules", "err", err)
	}
	return errors.Join(ctx.Err(), second.failed())
}

// loadEFI loads what shows EFI variables, where the firmware has any.
func (l *loader) loadEFI() error {
	if _, err := os.Stat(below(l.root, "sys/firmware/efi")); err != nil {
		return nil //nolint:nilerr // BIOS
	}
	return l.load("efivarfs")
}

// Times of waiting for disks after their drivers were loaded.
const (
	// settleWait bounds the wait.
	settleWait = 15 * time.Second
	settleLook = 50 * time.Millisecond
	// stillFor is how long nothing may come before the list counts as whole.
	stillFor = 700 * time.Millisecond
)

// settle waits until the list of disks has stood still for a moment. Disks of SCSI, ATA,
// NVMe and MMC are looked for while the driver's start is over already; others are there
// at once. plug loads the drivers of what comes.
func settle(ctx context.Context, sys string, plug func() error) error {
	if !scans(sys) {
		return nil
	}
	var errs []error
	deadline := time.Now().Add(settleWait)
	var before []string
	since := time.Now()
	for time.Now().Before(deadline) && time.Since(since) < stillFor {
		if now := devices(sys); !slices.Equal(now, before) {
			errs = append(errs, plug())
			before, since = now, time.Now()
		}
		if err := sleep(ctx, settleLook); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// scans reports whether a controller is there that looks for its disks by itself.
func scans(sys string) bool {
	for _, class := range []string{"scsi_host", "nvme", "mmc_host"} {
		if entries, err := os.ReadDir(filepath.Join(sys, "class", class)); err == nil && len(entries) > 0 {
			return true
		}
	}
	return false
}

// devices are what a scan adds: disks, and the devices on the way to them.
func devices(sys string) []string {
	var out []string
	for _, dir := range []string{"block", "bus/scsi/devices", "bus/mmc/devices", "class/nvme"} {
		entries, _ := os.ReadDir(filepath.Join(sys, dir)) // absent means none yet
		for _, e := range entries {
			out = append(out, e.Name())
		}
	}
	return out
}

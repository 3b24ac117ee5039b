package hyperv

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"ingot/hypervisor"
)

// planned is a script with what it would get.
type planned struct {
	Script  string `json:"script"`
	Request any    `json:"request"`
}

// Plan implements hypervisor.Driver. The request is the scripts' names with what they would
// get; the seed is left out, it holds secrets.
func (d *Driver) Plan(ctx context.Context, spec hypervisor.Spec) (hypervisor.Plan, error) {
	j, err := d.prepare(ctx, spec, true)
	if err != nil {
		return hypervisor.Plan{}, err
	}
	request := d.createRequest(j)
	if len(spec.Seed) > 0 {
		request.Seed = seedRequest{Path: d.seedPath(spec.ID), Gzip: leftOut, SHA256: leftOut, Location: seedLocation}
	}
	scripts := []planned{{createScript.Name, request}}
	if j.image != nil && j.image.toCome {
		pull := pullRequest{URL: "?", CertificateSHA256: "?", Folder: d.paths.images(), Partial: d.paths.part(spec.Image, "?"), Lock: d.paths.imageLock(spec.Image), MaxBytes: sliceBytes, MaxSeconds: sliceSeconds}
		finish := finishImageRequest{Partial: pull.Partial, Image: j.image.path, Lock: pull.Lock, SHA256: "?", DiskBytes: spec.ImageBytes}
		scripts = append([]planned{{pullScript.Name, pull}, {finishImageScript.Name, finish}}, scripts...)
	}
	text, err := json.MarshalIndent(scripts, "", "  ")
	if err != nil {
		return hypervisor.Plan{}, fmt.Errorf("write plan: %w", err)
	}
	clone, why := j.clone()
	return hypervisor.Plan{Steps: steps(j, request), Request: string(text), Clone: clone, Why: why}, nil
}

// steps are what Create does, in words.
func steps(j job, r createRequest) []string {
	var steps []string
	say := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	if j.image != nil && j.image.toCome {
		say("have the host fetch image %s of %d bytes, in which ? stands for what is not known yet", j.spec.Image, j.spec.ImageBytes)
	}
	say("make folder %s", r.Folder)
	for i, one := range r.Disks {
		switch {
		case one.Parent == "":
			say("make disk %d, empty and dynamic, of %d bytes", i, one.SizeBytes)
		case one.SizeBytes > j.image.sizeBytes:
			say("make disk %d as a differencing disk on %s, and grow it to %d bytes", i, one.Parent, one.SizeBytes)
		default:
			say("make disk %d as a differencing disk on %s", i, one.Parent)
		}
	}
	if r.Seed.Path != "" {
		say("write the seed to %s", r.Seed.Path)
	}
	say("make machine %q of generation %d with %d CPUs and %d MiB of memory, and attach the disks", r.VisibleName, r.Generation, r.Cpus, r.MemoryBytes>>20)
	for _, n := range r.Nics {
		mac := strings.ToLower(withColons(n.Mac))
		if n.VlanID > 0 {
			say("attach a NIC with the MAC %s to switch %q, VLAN %d", mac, n.Switch, n.VlanID)
			continue
		}
		say("attach a NIC with the MAC %s to switch %q", mac, n.Switch)
	}
	if r.SecureBoot {
		say("turn Secure Boot on, with the template for Linux")
	}
	if r.Tpm {
		say("give it a TPM, whose key belongs to this host")
	}
	return steps
}

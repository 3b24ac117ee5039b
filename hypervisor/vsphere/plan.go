package vsphere

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"

	"ingot/hypervisor"
)

// Plan implements hypervisor.Driver. The request is the SOAP call that makes the machine.
func (d *Driver) Plan(ctx context.Context, spec hypervisor.Spec) (hypervisor.Plan, error) {
	j, err := d.prepare(ctx, spec, true)
	if err != nil {
		return hypervisor.Plan{}, err
	}
	folder, err := d.machines(ctx, false)
	if err != nil {
		return hypervisor.Plan{}, err
	}
	plan := hypervisor.Plan{Clone: j.clone, Why: j.why, Steps: d.steps(j)}
	var request any = d.createRequest(j, folder, j.name, d.onDatastore(j.name+"/"+j.name+".vmdk"))
	if j.image != nil && d.client.IsVC() {
		request = d.cloneRequest(j, folder)
	} else if j.image == nil {
		request = d.createRequest(j, folder, j.name, "")
	}
	text, err := marshal(request)
	plan.Request = text
	return plan, err
}

// steps are what Create does, in words.
func (d *Driver) steps(j job) []string {
	var steps []string
	if j.image != nil && j.image.toCome() {
		steps = append(steps, fmt.Sprintf("bring image %s of %d bytes, in which ? stands for what is not known yet", j.spec.Image, j.spec.ImageBytes))
	}
	if len(j.spec.Seed) > 0 {
		steps = append(steps, "write the seed to "+d.onDatastore(seedDirectory(d.config.Owner, j.spec.ID)))
	}
	if d.client.IsVC() {
		steps = append(steps, fmt.Sprintf("make folder %s if it is not there", d.config.Folder))
	}
	at := fmt.Sprintf("machine %s on %s", j.name, d.place.compute.Name)
	switch {
	case j.clone == hypervisor.LinkedClone:
		return append(steps, fmt.Sprintf("make %s as a linked clone of %s", at, j.image.vm.Name))
	case j.image == nil:
		return append(steps, fmt.Sprintf("make %s with an empty disk of %d bytes", at, j.rootSize()))
	case d.client.IsVC():
		return append(steps, fmt.Sprintf("make %s as a full copy of %s, its root disk of %d bytes", at, j.image.vm.Name, j.rootSize()))
	}
	steps = append(steps, fmt.Sprintf("copy %s to %s", fileOf(j.image.disk), d.onDatastore(j.name)))
	if j.rootSize() > sizeOf(j.image.disk) {
		steps = append(steps, fmt.Sprintf("grow the copy to %d bytes", j.rootSize()))
	}
	return append(steps, "make "+at+" of the copy")
}

func marshal(request any) (string, error) {
	switch r := request.(type) {
	case *types.CloneVM_Task:
		request = (*types.CloneVMRequestType)(r)
	case *types.CreateVM_Task:
		request = (*types.CreateVMRequestType)(r)
	}
	text, err := xml.MarshalIndent(request, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write request: %w", err)
	}
	return string(text), nil
}

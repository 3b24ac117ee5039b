// Package vsphere is the hypervisor.Driver for VMware vCenter Server and standalone ESXi
// hosts, over the vSphere Web Services API (SOAP) with govmomi.
//
// What it makes is found again by what stands at the server: a machine's instanceUuid is
// hypervisor.UUID of owner and ID, and its ExtraConfig has ingot.id, ingot.owner,
// ingot.image and ingot.name. An image is a virtual machine that never runs, in a folder
// of its own, with a snapshot named "base" that linked clones stand on; it is not marked
// as a template, because linked clones of templates were refused with NotSupported
// (chef/kitchen-vcenter#32, fog/fog#3480). ESXi alone has no CloneVM
// (josenk/vagrant-vmware-esxi#19): there each machine's disk is a full copy.
//
// It was tested against hypervisor/vsphere/sim, a simulator that refuses what vCenter is
// documented to refuse. It never ran against a real vCenter.
package vsphere

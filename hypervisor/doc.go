// Package hypervisor is the contract between Ingot and the places where virtual machines
// run: what a driver can be asked, and what it answers. The drivers are hypervisor/libvirt,
// hypervisor/vsphere and hypervisor/hyperv; hypervisor/drivertest is the suite that each
// of them passes.
//
// A driver is one host (or one cluster behind one address) and keeps nothing of its own:
// what it knows of a machine stands at the hypervisor, found by the machine's ID and by the
// Owner, so that two installations on one host leave each other alone. Each change looks
// first and then acts, and can be repeated after a cut at any point: a call that finds its
// work done returns nil. Each call ends when its context does, whatever the library below
// it thinks of that, and leaves no half-made machine that the same call or Delete would not
// finish.
package hypervisor

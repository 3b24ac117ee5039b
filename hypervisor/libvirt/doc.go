// Package libvirt is the driver for KVM and QEMU hosts behind libvirtd, through libvirt's
// own RPC protocol, so no C library is needed.
//
// Everything of it at a host is found by name: a machine's domain has the UUID that
// [hypervisor.UUID] makes of owner and ID, its volumes begin with "ingot-" and that UUID,
// and an image's volume begins with "ingot-" and the digest. What a domain can't be asked
// (the ID, the owner, the image) stands in its <metadata>. All volumes are files in one
// directory pool: a machine's disks, its seed, and its UEFI variables, which therefore can
// be copied with a snapshot and are found by Delete when the domain is gone.
//
// The RPC binding has no contexts and no time limits; link.go gives it both. What this
// libvirt accepts in silence and should not is checked here: a disk smaller than its
// image, a backing file without a format, an upload cut short, a disk made smaller while
// in use, the deletion of an image that clones stand on.
//
// Sources: libvirt's formatdomain, formatstorage and formatsnapshot references
// (https://libvirt.org/format.html), remote protocol and URIs
// (https://libvirt.org/uri.html), and libvirt 9.0 itself, which the tests run against.
package libvirt

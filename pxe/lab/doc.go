// Package lab is the virtual rack: network namespaces with bridges, and machines
// that are QEMU processes on them. It is a library and a directory, so that one
// program can set a rack up and another can list it, switch machines, attach to a
// console and take everything down again.
//
//	lab.json            what was asked for, defaults filled in
//	lab.lock            held by whoever changes the rack
//	machines/NAME/      one machine: see package hypervisor/qemu
//	machines/NAME/disk0.raw
//
// The server under test runs in the namespace of the rack ([Lab.Namespace]) and
// listens on a bridge, which is called like its network. A network may also stand
// behind a router, in a namespace of its own, as a rack in another subnet does.
//
// Everything needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN).
package lab

// Package agent is what runs on a machine that Ingot boots over the network, or from
// media: PID 1 of a small environment with no shell. It loads modules by modalias, brings
// up the NIC it booted from, fetches drivers, says hello to the server, sends the machine's
// facts, and carries out orders until it is told to reboot.
//
// PID 1 does none of that itself: it starts a child, and tells the server through the
// kernel's log and netconsole how the child died, should it die. Of the second stage it
// fetches the few modules that this machine has devices for, and loads them from memory.
//
// # Safety on the target
//
// A disk is written only when it is the one that the order's hint means, when its
// sector size is the image's, and when what it carries was put there by the same
// installation or the order says overwrite. A marker near the disk's end records
// installation, machine and generation before the first byte and after the last, and
// between them how far the writing has come: after a power cut the same order goes on
// there, once what stands on the disk was read back and hashed. An order of an older
// generation than the marker's is refused, and one that the marker says is complete is
// not carried out again. So neither a restored backup of the server nor a replayed order
// can re-image a machine.
package agent

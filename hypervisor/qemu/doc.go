// Package qemu runs one virtual machine as one QEMU process: firmware, disks,
// network cards, console, monitor, TPM. It is a process and not a hypervisor
// driver: nothing here knows of an inventory, an image or a network plan.
//
// A machine lives in its own directory ([Config.Dir]), which holds everything
// that belongs to the running process:
//
//	process.json  which process this is (pid, start time, boot of the host)
//	qmp.sock      QEMU's monitor
//	console.sock  the serial console, for one client at a time
//	channel.sock  the virtio-serial port, for one client at a time
//	console.log   everything the serial console ever said
//	qemu.log      what QEMU itself said
//	vars.fd       the UEFI variables, kept between power-ons as on a real board
//	tpm/          the state of the emulated TPM
//
// [Start] makes a process, [Attach] finds one again from its directory, also
// from another program.
package qemu

// Package guestrun starts a virtual machine from a disk image, gives it commands and
// ends it, without touching the image and without a network: the disk is an overlay
// that is thrown away, and commands go over a virtio-serial port.
//
// [Run] starts a machine, [Guest.Do] runs a script in it, [Customise] makes a new image
// from an existing one in that way, [Install] runs an installer to its end.
//
// # The channel
//
// The guest's end is agent.sh, which cloud-init starts from the seed ([UserData]). Both
// sides send lines of ASCII on the port "org.ingot.run.0". The host sends
//
//	run ID SECONDS BYTES     a shell script follows: at most SECONDS and BYTES of output
//	BASE64...                in lines of at most 76 bytes
//	.
//	off                      switch off
//
// and the guest
//
//	hello 1                  once, when it can take commands; 1 is the version
//	alive ID                 every 10 s while a script runs
//	done ID STATUS DROPPED   exit status; DROPPED is not 0 when output is left out
//	BASE64...                the output
//	end ID
//
// The ID is random. A guest may be hostile: a line has at most 4 KiB, an answer at most
// what was asked for, nothing is read while no answer is waited for, and every wait ends
// with the guest's time limits. What is wrong is the guest's failure, a [*GuestError];
// every other error is this host's.
package guestrun

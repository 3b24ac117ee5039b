// Package bootfiles owns the closed set of files that a boot service serves: the
// signed loaders, iPXE, the kernel and the two stages of the agent environment.
//
// [Acquire] fetches Debian's packages into a folder of its own, with nothing
// installed on the host. [Build] makes the set from such a folder and the agent's
// binary. [Open] reads the set for serving: a name that is not in it does not exist.
//
// The first stage (initrd.img) is what a machine needs to reach the server: the
// agent as /init, drivers of network cards with their firmware. The second stage
// (modules.img) has the drivers of disks and everything else, each in an archive of
// its own; the agent fetches those that the machine has use for, by range, and checks
// each against the SHA-256 that the first stage carries. One archive of all was 2 MB
// smaller, and cost every machine 12 MB of download and 3 s of decompression under
// emulation (2026-11-25).
//
// Both stages hold kernel modules byte for byte as Debian signed them: a kernel
// under Secure Boot loads no others.
package bootfiles

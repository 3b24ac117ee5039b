// Package bootfiles owns the closed set of files that a boot service serves: the
// signed loaders, iPXE, the kernel and the two stages of the agent environment.
//
// [Acquire] fetches Debian's packages into a folder of its own, with nothing
// installed on the host. [Build] makes the set from such a folder and the agent's
// binary. [Open] reads the set for serving: a name that is not in it does not exist.
//
// The first stage (initrd.img) is what a machine needs to reach the server: the
// agent as /init, drivers of network cards with their firmware. The second stage
// (modules.img) has the drivers of disks and everything else; the agent fetches it
// and checks it against the SHA-256 that the first stage carries.
//
// Both stages hold kernel modules byte for byte as Debian signed them: a kernel
// under Secure Boot loads no others.
package bootfiles

// Package pxe is the boot server: it composes the listeners (DHCP, TFTP, the machine
// listener) with what answers them (netboot, the boot files, the agent's API), and
// nothing else. BOOTING.md walks one boot through it packet by packet.
package pxe

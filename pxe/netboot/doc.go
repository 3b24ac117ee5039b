// Package netboot decides what a machine that asks the network boots next, renders the
// iPXE and GRUB scripts that say so, and joins what the protocols saw (by MAC, address
// and file path) into boot attempts. It answers from memory: a snapshot of the machines
// that the event feed keeps current.
//
// Every file that is offered carries the client's MAC as its folder, so that a TFTP
// transfer or an HTTP request tells whose it is, also where another server gives the
// addresses.
package netboot

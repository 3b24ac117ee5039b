// Package netboot decides what a machine that asks the network boots next, renders the
// iPXE and GRUB scripts that say so, and joins what the protocols saw (by MAC, address
// and file path) into boot attempts. It answers from memory: a snapshot of the machines
// that the event feed keeps current.
//
// Every file that is offered carries the client's MAC as its folder, so that a TFTP
// transfer or an HTTP request tells whose it is, also where another server gives the
// addresses.
//
// # Decisions
//
//   - 2026-11-25: in proxy mode UEFI gets iPXE (snponly.efi) first, not shim. Tried with
//     OVMF beside dnsmasq: Debian's signed GRUB takes its server from the DHCP ACK
//     (siaddr, where dnsmasq names itself) and retries there for ever, so shim's chain
//     works only where that server names Ingot as next-server. With Secure Boot on, the
//     machine is given shim all the same, and why says what to set.
//   - 2026-11-25: files that shim and GRUB ask for on the chance (revocations, *.lst) are
//     not recorded when they are not there: they are never missed.
package netboot

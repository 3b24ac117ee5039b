// Package tftp serves boot files by TFTP (RFC 1350) with the options blksize and tsize
// (RFC 2347 to 2349), read only. It knows no files: it asks Files, and reports how each
// transfer ended to an Observer.
//
// Names are cleaned before anybody is asked: backslashes are slashes, "//" is one slash
// (shim asks for such names), a leading slash is dropped, ".." is refused. A first part
// that is a MAC ("52-54-00-12-34-56/snponly.efi") is taken off and reported: a boot
// server offers such names to tie a transfer to a machine.
//
// UEFI firmware asks for a file's size, aborts with error code 8 (or 0), and asks again
// for the file itself. That is a size probe, not a failure.
//
// A transfer in lockstep is as fast as both sides wake up. While blocks move quickly the
// processors are kept from sleeping (2.6 times as fast on an idle virtual machine, measured
// on 2026-11-28); a file is kept in memory while it is read, once for all who read it.
// With many clients no processor sleeps, and the server takes its turn instead of
// interrupting for each packet (6 to 10 % more blocks with a hundred, 2026-11-29).
//
// Decision, 2026-11-28: one socket for each transfer, not the library's single-port mode.
// That needs no open ports above 69 in a firewall, but hands each packet through a
// channel and sends under one lock: three quarters of the speed with a hundred clients.
package tftp

// Package facts reads what a machine has, from sysfs, SMBIOS tables, EFI variables and
// device ioctls, in Go alone. What can't be read is named in Facts.Unread; it never fails
// the rest, and a device that hangs is left behind after a bounded time.
//
// # Dumps
//
// Every reader takes the root of the tree it reads, so the same code runs on dumps of
// other machines. A dump holds copies of sys and proc with sysfs's symbolic links, may
// hold disk contents as dev/NAME, and holds what devices answered in
// ioctl/DEVICE/QUESTION: the bytes that the question's reader in this package parses
// ("nvme-smart", "ata-identify", "ethtool-drvinfo", "lldp", "ipmi-06-01"). A question
// that is not there counts as one the device doesn't know.
package facts

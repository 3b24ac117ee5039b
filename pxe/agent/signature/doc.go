// Package signature finds, by reading alone, what data a disk carries: partition
// tables, file systems, RAID, LVM, ZFS, encryption. Nothing is mounted or assembled, and
// at most [MaxReadBytes] are read from a disk of any size. What is read is not trusted:
// every count and offset that comes from the disk is bounded before it is used.
package signature

// Package contents reads what a finished disk image holds: its partitions, the root
// file system, the EFI system partition, the files and the packages.
//
// It reads the bytes of the disk itself and mounts nothing. An image may come from
// anywhere, so its file systems are taken for hostile: links are followed within the
// file system and only so far, what is read has limits, and a reader that trips over
// damaged bytes is an error and nothing worse.
package contents

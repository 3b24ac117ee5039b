// Package build makes golden images from recipes: a raw disk with a GPT that
// starts under BIOS, UEFI and UEFI Secure Boot, with the boot loaders that Debian
// and Microsoft signed.
//
// The same recipe and the same inputs give the same bytes, in another folder and at
// another time:
//   - Inputs are pinned: packages by SHA-256, recipe and files by [Recipe.Digest]; apt
//     verifies the archive's signatures, and the system is installed from a local archive
//     of exactly those packages.
//   - Clock: SOURCE_DATE_EPOCH is 2026-01-01 for all tools. mkinitramfs then sorts, clamps
//     times and packs on one thread; shadow(5) dates its entries by it; times of files are
//     at most that, also those that Python's caches hold.
//   - State of the building machine and moment goes: logs, apt's lists and caches, ldconfig's
//     auxiliary cache, dpkg's and passwd's backups, machine-id, SSH host keys, random seed.
//   - ext4: UUID and hash seed come from the recipe, E2FSPROGS_FAKE_TIME is the clock, and
//     debugfs puts the files in, sorted: inodes, blocks and folders don't depend on the
//     order of the building machine's folders, as they do with mke2fs -d.
//   - FAT: mkfs.vfat --invariant with an ID from the recipe; mtools takes SOURCE_DATE_EPOCH.
//   - GPT: all GUIDs come from the recipe.
package build

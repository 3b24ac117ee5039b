// Package seed makes the documents that an installed system reads at its first boot
// (cloud-init's NoCloud: meta-data, user-data, vendor-data, network-config) and packs
// them into a small FAT file system labelled CIDATA, for metal and VM alike.
//
// The user's own document is user-data, untouched. What Ingot needs (the phone-home)
// is vendor-data, which cloud-init merges below user-data.
package seed

// Package images stores golden images: masters in a folder, addressed by the
// digest of their manifest, with the document that describes them beside, and the
// channels that point to them.
//
// What is on disk is the truth; the inventory mirrors it. The layout below the
// store's folder:
//
//	blobs/sha256/HEX/manifest.json  the master's manifest, HEX its SHA-256
//	blobs/sha256/HEX/data           the master's data file
//	blobs/sha256/HEX/image.json     name, version and origin (inventory.Image)
//	derived/HEX.FORMAT/disk         the image as qcow2, vmdk or vhdx; derived.json beside it
//	channels/NAME.json              channel → digest
//	tmp/                            imports under way
//
// An image appears by one rename after everything in it is on stable storage: a
// store never shows half an image, whenever its machine loses power.
package images

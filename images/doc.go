// Package images stores golden images: masters in a folder, addressed by the
// digest of their manifest, with the documents that describe them beside, and the
// channels that point to them.
//
// What is on disk is the truth; the inventory mirrors it. The layout below the
// store's folder:
//
//	packs/NUMBER.data               the zstd frames that an import added, one behind the other; shared by all images
//	packs/NUMBER.index              what is where in it: name, offset and length of each frame
//	blobs/sha256/HEX/manifest.json  the master's manifest, HEX its SHA-256
//	blobs/sha256/HEX/image.json     name, version and origin (inventory.Image); only its size in the store changes
//	blobs/sha256/HEX/files/NAME     documents: recipe, package list, log
//	blobs/sha256/HEX/tests/ID/      boot tests: result.json, console log, screenshot
//	blobs/sha256/HEX/signatures/KEY.minisig
//	derived/HEX.FORMAT/disk         the image as qcow2, vmdk or vhdx; derived.json beside it
//	channels/NAME.json              channel → digest
//	channels/NAME.history.jsonl     each move of the channels, one JSON object a line
//	tmp/                            imports under way, images that are deleted and still read
//	lock                            locked by who changes what is there
//	imports.lock                    locked by each import while it runs, against who removes frames
//	readers.lock                    locked by each reader, against who removes a pack whose frames are elsewhere
//	compress.lock                   locked by who compresses
//	shared                          where the channels are shared with other servers, if they are
//
// The master's data file is no file: its frames are in packs, the rest of it follows from
// the manifest (master.Layout). Frames are cut by content and named by its SHA-256, so a
// version stores what changed since the one before (in images whose manifest is of version
// 1 the name is that of the frame's own bytes). An import may leave its frames
// uncompressed, which the index of its pack says; Compress puts them into another pack,
// and the old one's data goes when nobody reads it. When images go, what no other has is punched out of its
// pack (fallocate(2)); on a file system that can't do that the bytes stay until all of the
// pack can go. (2026-11-28: a file for each frame, as it was for a short time, costs HTTP
// a fifth of its speed and an import two thirds of its time.) An index that was damaged is
// made anew from its pack, when the store is opened and when it is collected.
//
// Servers that can't share a folder share a bucket: package bucket.
//
// An image appears by one rename after everything in it is on stable storage: a
// store never shows half an image, and a frame is in no index before its content is there,
// whenever its machine loses power.
//
// Several processes and servers may share the folder. Its file system needs hard links,
// atomic renames and flock(2) that all of them see: a local one does, NFS from version 3
// with locking on (not nolock, not local_lock=flock), OCFS2, GFS2, CephFS. Their clocks
// should agree to a few seconds. Versions of Ingot that keep one data file for each image
// can't share it: NewStore converts what they left.
package images

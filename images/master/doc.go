// Package master owns the master format: one logical disk as independent zstd
// frames in the seekable layout, with a manifest that says where on the disk each chunk
// is and what its bytes hash to.
//
// The data file is an ordinary zstd stream: any zstd tool turns it back into the
// exact raw disk. Runs of zeros (holes) are in it as frames of run-length blocks,
// 32 KiB for each GiB. The manifest lists only the chunks that hold data: what it
// does not list reads as zero, is never fetched, and is discarded on the target.
//
// Chunks are cut where the content says so (a hash of each 4 KiB block), so the same
// files give the same frames wherever they lie on a disk, and two versions of an image
// share all but what changed. Of the data file only these frames need to be kept: the
// rest follows from the manifest and the frames' lengths ([NewLayout]). A reader finds the
// frames by the seek table that ends the data file ([ParseLayout]).
//
// The digest of an image is the SHA-256 of its manifest document. The manifest
// holds the SHA-256 of each raw chunk, so one digest vouches for every byte that
// is written, for the partition that is grown and for the boot modes.
//
// Decision of 2026-11-28: the manifest says nothing of the frames. In version 1 it named
// each one's place, length and SHA-256, so that another level or version of zstd made
// another image of the same disk, and frames could never be made anew: an import had to
// compress before anybody could use it. The price is that a decoder meets bytes that
// nobody vouched for; it is given room for the chunk and no more, and what it returns is
// compared before anything is done with it.
//
// [Write], [WriteFrames] and [WriteStream] make a master, [Apply] puts one on a disk, [Verify] reads the disk
// back, [Disk] reads a master where it is. [ReadTable], [Table.Grow] and [Table.AddLast] fit the partition
// table of a written disk to its size and make room for the seed.
package master

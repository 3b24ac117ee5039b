// Package sign puts signatures on golden images and checks them, in the format of
// minisign (https://jedisct1.github.io/minisign), whose tool can do both as well.
//
// What is signed is the manifest of an image's master. It holds the hash of every
// part of the disk, and its own hash is the image's digest: one signature covers all
// that is ever written. The trusted comment, which the signature covers too, names
// the image, so that a signature says for what its owner gave it.
package sign

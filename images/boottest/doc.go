// Package boottest boots an image as a deployment does and watches what becomes of it:
// the disk is larger than the image, its table is grown and carries the real seed, the
// guest phones home, and commands in it say the rest. The image itself is not changed.
//
// What the image does wrong is a result that did not pass; an error is this host's.
package boottest

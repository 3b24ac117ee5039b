package bucket

import (
	"path"
	"strings"

	"ingot/images/master"
)

// Names of objects: see the package's comment.
const (
	chunksFolder   = "chunks/sha256/"
	blobsFolder    = "blobs/sha256/"
	channelsFolder = "channels/"
	serversFolder  = "servers/"
	damagedFolder  = "damaged/"
	collectingKey  = "collecting.json"

	manifestName = "manifest.json"
	imageName    = "image.json"
	resultName   = "result.json"
)

// Bounds of what is read whole. A manifest has some 200 bytes for each chunk.
const (
	maxManifestBytes = 256 << 20
	maxDocumentBytes = 16 << 20
	maxFileBytes     = 256 << 20
)

func chunkKey(d master.Digest) string { return chunksFolder + d.Hex()[:2] + "/" + d.Hex() }

func blobFolder(d master.Digest) string { return blobsFolder + d.Hex() + "/" }

// digestOf is the digest that a key ends with.
func digestOf(key string) (master.Digest, bool) {
	d, err := master.ParseDigest("sha256:" + path.Base(key))
	return d, err == nil
}

// blobKey takes an object's key below blobs apart.
func blobKey(key string) (d master.Digest, name string, ok bool) {
	hex, name, ok := strings.Cut(strings.TrimPrefix(key, blobsFolder), "/")
	if !ok {
		return d, "", false
	}
	d, err := master.ParseDigest("sha256:" + hex)
	return d, name, err == nil
}

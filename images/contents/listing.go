package contents

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/diskfs/go-diskfs/filesystem/ext4"
	"github.com/klauspost/compress/zstd"

	"ingot/inventory"
)

// File is one name in an image's root file system, as a listing has it.
type File struct {
	Path string `json:"path"`
	// Mode is as ls prints it.
	Mode string `json:"mode"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	// SizeBytes and SHA256 are of regular files, Target of links.
	SizeBytes int64  `json:"sizeBytes,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	Target    string `json:"target,omitempty"`
}

// List lists everything in the root file system, with hashes, in the order of paths
// within each folder. A disk without a root that can be read has none.
func (d *Disk) List(ctx context.Context) ([]File, error) {
	if d.Root == nil {
		return nil, nil
	}
	var all []File
	left := int64(maxListedBytes)
	err := d.Root.Walk(".", func(e Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Info.Mode().IsRegular() {
			if left -= e.Info.Size(); left < 0 {
				return inventory.Invalid("with /%s, which has %d bytes, the files of the image have more than %d", e.Path, e.Info.Size(), int64(maxListedBytes))
			}
		}
		f, err := d.Root.describe(ctx, e)
		all = append(all, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return all, nil
}

// maxListedBytes bounds what is hashed for a listing. Most of it may be holes.
const maxListedBytes = 1 << 40

func (f *FS) describe(ctx context.Context, e Entry) (File, error) {
	out := File{Path: "/" + e.Path, Target: e.Target}
	if err := guard(func() error {
		info, err := f.stat(e.Path)
		if err == nil {
			out.Mode = info.Mode().String()
		}
		return err
	}); err != nil {
		return out, fmt.Errorf("read /%s of the image: %w", e.Path, err)
	}
	if s, ok := e.Info.Sys().(*ext4.StatT); ok {
		out.UID, out.GID = s.UID, s.GID
	}
	if !e.Info.Mode().IsRegular() {
		return out, nil
	}
	h := sha256.New()
	err := f.read(e, func(r io.Reader) error {
		n, err := io.Copy(h, contextReader{ctx, r})
		out.SizeBytes = n
		return err
	})
	out.SHA256 = hex.EncodeToString(h.Sum(nil))
	return out, err
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// WriteListing writes a listing as zstd-compressed lines of JSON.
func WriteListing(w io.Writer, files []File) error {
	z, err := zstd.NewWriter(w)
	if err != nil {
		return fmt.Errorf("write listing: %w", err)
	}
	enc := json.NewEncoder(z)
	for _, f := range files {
		if err := enc.Encode(f); err != nil {
			return errors.Join(fmt.Errorf("write listing: %w", err), z.Close())
		}
	}
	return z.Close()
}

// maxListingBytes bounds a listing, unpacked.
const maxListingBytes = 1 << 30

// ReadListing reads what [WriteListing] wrote. Anything else is inventory.ErrInvalid.
func ReadListing(r io.Reader) ([]File, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("read listing: %w", err)
	}
	defer z.Close()
	var all []File
	dec := json.NewDecoder(bufio.NewReader(io.LimitReader(z, maxListingBytes)))
	for {
		var f File
		err := dec.Decode(&f)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, inventory.Invalid("listing of files: entry %d: %v", len(all)+1, err)
		}
		all = append(all, f)
	}
}

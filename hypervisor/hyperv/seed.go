package hyperv

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ingot/inventory"
)

// The seed holds secrets, so it is no artefact that is offered: it goes with the request.
const (
	// seedStep is what a seed is padded to, VHDX blocks being whole MiB.
	seedStep = 1 << 20
	// packedMax keeps the request small: Windows PowerShell 5.1 reads it whole.
	packedMax = 1 << 20
	leftOut   = "left out: it holds secrets"
)

// packSeed makes a small dynamic VHDX of a seed, packed for a request. Its files are in a
// directory that nobody else can look into.
func packSeed(ctx context.Context, path string, seed []byte) (r seedRequest, err error) {
	if len(seed) == 0 {
		return seedRequest{}, nil
	}
	dir, err := os.MkdirTemp("", "ingot-seed")
	if err != nil {
		return seedRequest{}, fmt.Errorf("make a VHDX of the seed: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, err := convertSeed(ctx, dir, seed)
	if err != nil {
		return seedRequest{}, fmt.Errorf("make a VHDX of the seed: %w", err)
	}
	r, err = packFile(file)
	if err != nil {
		return seedRequest{}, fmt.Errorf("pack the seed: %w", err)
	}
	if len(r.Gzip) > packedMax {
		return seedRequest{}, inventory.Invalid("seed of %d bytes is too large when packed (%d, at most %d)", len(seed), len(r.Gzip), packedMax)
	}
	r.Path, r.Location = path, seedLocation
	return r, nil
}

// convertSeed runs qemu-img and returns its file.
func convertSeed(ctx context.Context, dir string, seed []byte) (string, error) {
	tool, err := exec.LookPath("qemu-img")
	if err != nil {
		return "", fmt.Errorf("no qemu-img here: apt-get install qemu-utils: %w", inventory.ErrUnsupported)
	}
	raw, made := filepath.Join(dir, "raw"), filepath.Join(dir, "vhdx")
	padded := append(bytes.Clone(seed), make([]byte, (seedStep-len(seed)%seedStep)%seedStep)...)
	if err := os.WriteFile(raw, padded, 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, tool, "convert", "-f", "raw", "-O", "vhdx", "-o", "subformat=dynamic,block_size=1048576", raw, made).CombinedOutput()
	if err != nil {
		return "", errors.Join(ctx.Err(), fmt.Errorf("qemu-img: %w: %s", err, bytes.TrimSpace(out)))
	}
	return made, nil
}

// packFile packs a file and hashes it as it is.
func packFile(name string) (seedRequest, error) {
	f, err := os.Open(name)
	if err != nil {
		return seedRequest{}, err
	}
	defer f.Close()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // nearly all of it is zeros
	if err != nil {
		return seedRequest{}, err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(sum, w), f); err != nil {
		return seedRequest{}, err
	}
	if err := w.Close(); err != nil {
		return seedRequest{}, err
	}
	return seedRequest{Gzip: base64.StdEncoding.EncodeToString(packed.Bytes()), SHA256: strings.ToUpper(hex.EncodeToString(sum.Sum(nil)))}, nil
}

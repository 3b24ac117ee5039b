package guestrun

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the guest's script
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"ingot/inventory"
)

// packagesLabel is the file-system label of the disk with packages.
const packagesLabel = "INGOT-PKGS"

//go:embed packages.sh
var packagesScript string

// packagesEnv makes apt in the guest use the disk alone, and leave no lists and no
// cache behind.
var packagesEnv = map[string]string{"APT_CONFIG": "/run/ingot-packages/apt.conf", "DEBIAN_FRONTEND": "noninteractive"}

var debName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+.:~_%-]*\.deb$`)

// packageDisk writes to path an ext4 file system with the .debs of a folder and a flat
// apt repository's index of them (Debian's repository format: "flat repository").
//
// A disk and no proxy: slirp's guestfwd joins all connections of a guest to one stream
// (or starts a process for each), needs the guest's network to be up, and a proxy is one
// more server; a disk is there from the start, needs no network, and can't be reached by
// anybody else. What it holds came with its hashes checked, so the guest trusts it.
func packageDisk(ctx context.Context, folder, tree, path string) error {
	found, err := filepath.Glob(filepath.Join(globEscape(folder), "*.deb"))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return inventory.NotFound("packages (*.deb) in", folder)
	}
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	var index bytes.Buffer
	var room int64
	for _, deb := range found {
		size, err := addPackage(ctx, &index, deb, tree)
		if err != nil {
			return fmt.Errorf("add package %s: %w", deb, err)
		}
		room += size
	}
	if err := os.WriteFile(filepath.Join(tree, "Packages"), index.Bytes(), 0o644); err != nil {
		return err
	}
	room += int64(index.Len()) + int64(len(found))*8192
	size := (room + room/10 + 16<<20) / (1 << 20) << 20
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, size)); err != nil {
		return err
	}
	_, err = tool(ctx, filepath.Dir(path), "mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0", "-N", fmt.Sprint(len(found)+64), "-L", packagesLabel, "-d", tree, path)
	return err
}

// addPackage puts a package into the tree and its paragraph into the index.
func addPackage(ctx context.Context, index *bytes.Buffer, deb, tree string) (int64, error) {
	name := filepath.Base(deb)
	if !debName.MatchString(name) {
		return 0, inventory.Invalid("the file name is not that of a Debian package")
	}
	control, err := tool(ctx, tree, "dpkg-deb", "-f", deb)
	if err != nil {
		return 0, err
	}
	size, sum, err := linkHashed(deb, filepath.Join(tree, name))
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(index, "%s\nFilename: ./%s\nSize: %d\nSHA256: %x\n\n", bytes.TrimSpace(control), name, size, sum)
	return size, nil
}

// linkHashed makes a file appear in another place, readable by all, and hashes it. Where
// from is a symbolic link, which an archive of cached packages has, it is the file that it
// names: a link of a symbolic link is one more, and leads nowhere in the guest.
func linkHashed(from, to string) (size int64, sum []byte, err error) {
	if from, err = filepath.EvalSymlinks(from); err != nil {
		return 0, nil, err
	}
	in, err := os.Open(from)
	if err != nil {
		return 0, nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return 0, nil, err
	}
	h := sha256.New()
	// apt reads as a user of its own.
	if info.Mode()&0o444 == 0o444 && os.Link(from, to) == nil {
		size, err = io.Copy(h, in)
		return size, h.Sum(nil), err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, nil, err
	}
	size, err = io.Copy(io.MultiWriter(h, out), in)
	return size, h.Sum(nil), errors.Join(err, out.Close())
}

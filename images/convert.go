package images

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"ingot/images/master"
)

// convertOptions are qemu-img's for each format that can be derived.
//
// qcow2 1.1 is what linked clones and live resizing need. ESXi takes no vmdk but
// streamOptimized, and no adapter type but a SCSI one for it (QEMU's default is ide).
// VHDX in blocks of 1 MiB takes three quarters of the room of the default for ext4.
var convertOptions = map[Format]string{
	FormatQcow2: "compat=1.1",
	FormatVMDK:  "subformat=streamOptimized,adapter_type=lsilogic,hwversion=13",
	FormatVHDX:  "subformat=dynamic,block_size=1048576",
}

// unpack writes the master as a sparse raw file.
func unpack(ctx context.Context, m *Master, raw string) error {
	target, err := master.CreateFile(raw, m.Manifest.LogicalBytes)
	if err != nil {
		return err
	}
	_, err = m.Apply(ctx, target, master.ApplyOptions{})
	return errors.Join(err, target.Close())
}

// export converts and compares what came out with what went in.
func export(ctx context.Context, format Format, raw, disk string, sizeBytes int64) error {
	limit := sizeBytes + sizeBytes/8 + 64<<20 // tables and headers of an incompressible disk
	if _, err := qemuImg(ctx, limit, "convert", "-f", "raw", "-O", string(format), "-o", convertOptions[format], raw, disk); err != nil {
		return err
	}
	if format == FormatVHDX {
		if err := fillHoles(disk); err != nil {
			return err
		}
	}
	_, err := qemuImg(ctx, limit, "compare", "-f", "raw", "-F", string(format), raw, disk)
	return err
}

func hashDerived(ctx context.Context, path string, format Format) (Derived, error) {
	f, err := os.Open(path)
	if err != nil {
		return Derived{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Derived{}, err
	}
	sum, err := hashFile(ctx, f, info.Size(), ImportOptions{})
	return Derived{Format: format, SizeBytes: info.Size(), SHA256: sum.Hex(), Path: path}, errors.Join(err, f.Sync())
}

// fillHoles gives every block of a file room on the disk: Hyper-V refuses a sparse file.
func fillHoles(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		err = unix.Fallocate(int(f.Fd()), 0, 0, info.Size())
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = rewrite(f, info.Size())
	}
	return errors.Join(err, f.Close())
}

// rewrite writes what is in the file, zeros of holes too.
func rewrite(f *os.File, sizeBytes int64) error {
	buf := make([]byte, 1<<20)
	for at := int64(0); at < sizeBytes; at += int64(len(buf)) {
		part := buf[:min(int64(len(buf)), sizeBytes-at)]
		if _, err := f.ReadAt(part, at); err != nil {
			return err
		}
		if _, err := f.WriteAt(part, at); err != nil {
			return err
		}
	}
	return nil
}

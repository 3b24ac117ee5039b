package images

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"ingot/inventory"
)

// Limits of one qemu-img: a hostile file must not take the server's memory,
// processor or disk (prlimit(1)).
const (
	qemuMemoryBytes = 4 << 30
	qemuCPUSeconds  = 3600
)

// qemuImg runs qemu-img with limits. A missing program is inventory.ErrUnsupported
// with the package to install.
func qemuImg(ctx context.Context, fileSizeBytes int64, args ...string) ([]byte, error) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		return nil, fmt.Errorf("foreign image formats need qemu-img: apt-get install qemu-utils: %w", inventory.ErrUnsupported)
	}
	limits := []string{fmt.Sprintf("--as=%d", int64(qemuMemoryBytes)), fmt.Sprintf("--cpu=%d", qemuCPUSeconds), fmt.Sprintf("--fsize=%d", fileSizeBytes), "--core=0", "--", "qemu-img"}
	cmd := exec.CommandContext(ctx, "prlimit", append(limits, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, errors.Join(ctx.Err(), fmt.Errorf("qemu-img %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String())))
	}
	return out, nil
}

// refused turns the word of a qemu-img that ran to its end into an error about the
// file it looked at.
func refused(ctx context.Context, err error) error {
	var exit *exec.ExitError
	if ctx.Err() == nil && errors.As(err, &exit) && exit.Exited() {
		return inventory.Invalid("%v", err)
	}
	return err
}

// qemuInfo is what is used of "qemu-img info --output=json".
type qemuInfo struct {
	VirtualSize int64  `json:"virtual-size"`
	Backing     string `json:"backing-filename"`
	FullBacking string `json:"full-backing-filename"`
	Specific    struct {
		Data struct {
			DataFile string `json:"data-file"`
		} `json:"data"`
	} `json:"format-specific"`
}

// convert writes the disk in a foreign file to a raw file. The format is always
// named: qemu-img must never guess it from bytes that others wrote.
func convert(ctx context.Context, format Format, path, raw string, maxBytes int64) error {
	out, err := qemuImg(ctx, 1<<20, "info", "--output=json", "-f", string(format), path)
	if err != nil {
		return refused(ctx, err)
	}
	var info qemuInfo
	if err := json.Unmarshal(out, &info); err != nil {
		return fmt.Errorf("read qemu-img info: %w", err)
	}
	switch {
	case info.Backing != "" || info.FullBacking != "" || info.Specific.Data.DataFile != "":
		return inventory.Invalid("the %s file needs another file: flatten it first (qemu-img convert)", format)
	case info.VirtualSize <= 0:
		return inventory.Invalid("the %s file claims a disk of %d bytes", format, info.VirtualSize)
	case info.VirtualSize > maxBytes:
		return tooLarge(info.VirtualSize, maxBytes)
	}
	if err := checkWhole(ctx, format, path); err != nil {
		return err
	}
	_, err = qemuImg(ctx, info.VirtualSize, "convert", "-f", string(format), "-O", "raw", "-S", "4k", "-W", path, raw)
	return err
}

// checkWhole finds a file that was cut short: qemu-img convert reads zeros behind
// the end of a qcow2 file and says nothing.
func checkWhole(ctx context.Context, format Format, path string) error {
	out, err := qemuImg(ctx, 1<<20, "check", "--output=json", "-f", string(format), path)
	var check struct {
		Errors      int64 `json:"check-errors"`
		Corruptions int64 `json:"corruptions"`
		EndOffset   int64 `json:"image-end-offset"`
	}
	if jsonErr := json.Unmarshal(out, &check); jsonErr != nil {
		return errors.Join(refused(ctx, err), fmt.Errorf("read qemu-img check: %w", jsonErr))
	}
	stat, statErr := os.Stat(path)
	if statErr != nil {
		return statErr
	}
	if check.EndOffset > stat.Size() || check.Errors > 0 || check.Corruptions > 0 {
		return inventory.Invalid("the %s file is damaged or cut short: it has %d bytes, needs %d; %d corruptions, %d errors", format, stat.Size(), check.EndOffset, check.Corruptions, check.Errors)
	}
	return nil
}

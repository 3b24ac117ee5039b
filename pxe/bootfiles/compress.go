package bootfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// zstdProgram is the compressor of the root's packages, or else of this host. The
// Go encoder's best level makes the first stage a tenth larger, xz a tenth smaller
// but three times slower to boot under emulation.
func zstdProgram(root string) (string, error) {
	path := filepath.Join(root, "usr/bin/zstd")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	path, err := exec.LookPath("zstd")
	if err != nil {
		return "", errors.New("zstd is not here: install it with `apt-get install --no-install-recommends zstd`")
	}
	return path, nil
}

// compress compresses data with zstd. The level is the highest whose window (8 MiB)
// needs no more memory to boot. The output does not depend on the number of threads.
//
// The size is told, so that a module of 100 KiB is compressed with tables of its size:
// else each takes 85 MB of memory, and four times as long.
func compress(ctx context.Context, root string, data []byte) ([]byte, error) {
	program, err := zstdProgram(root)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "-19", "-T0", "-q", "-c", "--stream-size="+strconv.Itoa(len(data)))
	var packed, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), &packed, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compress with %s: %w: %s", program, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return packed.Bytes(), nil
}

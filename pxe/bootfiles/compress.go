package bootfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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

// compress pipes what write writes through zstd into w. The level is the highest
// whose window (8 MiB) needs no more memory to boot. The output does not depend on
// the number of threads.
func compress(ctx context.Context, root string, w io.Writer, write func(io.Writer) error) error {
	program, err := zstdProgram(root)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "-19", "-T0", "-q", "-c")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	writeErr := errors.Join(write(in), in.Close())
	if err := cmd.Wait(); err != nil {
		return errors.Join(fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes())), writeErr)
	}
	return writeErr
}

package bootfiles

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Recipe is what a set is made from.
type Recipe struct {
	// Root is a folder with Debian's packages unpacked: from Acquire, or / or any
	// other place where they are installed.
	Root string
	// Agent is the path of the agent's static binary for Linux on x86-64.
	Agent string
	// Out is the directory of the set, which must not be there yet.
	Out string
	// Parts is a directory that keeps what was compressed for the next build; empty is
	// the one that Out is in.
	Parts string
	// Log gets progress. nil: none.
	Log *slog.Logger
}

// builderVersion changes when the same inputs give other bytes than before.
const builderVersion = "3"

// Key identifies what Build would make a set from: two recipes with the same key make
// the same set. Errors are those of Build.
func (r Recipe) Key() (string, error) {
	m, err := r.describe()
	if err != nil {
		return "", fmt.Errorf("look at the parts of the boot files: %w", err)
	}
	return m.Key, nil
}

// describe is the manifest without its files.
func (r Recipe) describe() (Manifest, error) {
	if err := checkAgent(r.Agent); err != nil {
		return Manifest{}, err
	}
	version, err := findKernel(r.Root)
	if err != nil {
		return Manifest{}, err
	}
	sum, _, err := hashFile(r.Agent)
	if err != nil {
		return Manifest{}, fmt.Errorf("read agent: %w", err)
	}
	key, err := r.key(version, sum)
	if err != nil {
		return Manifest{}, err
	}
	packages, err := rootPackages(r.Root)
	return Manifest{Key: key, KernelVersion: version, Packages: packages, Agent: Agent{agentCommit(r.Agent), sum}}, err
}

// agentCommit is what Go wrote into the binary (debug/buildinfo).
func agentCommit(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// key identifies the inputs by content for the agent, and by path, size and time
// for the packages' files, which are too many to read each time.
func (r Recipe) key(version, sum string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, builderVersion, version, sum, modulesTable)
	for _, s := range append([]source{kernelSource(version)}, loaders...) {
		for _, p := range s.paths {
			if info, err := os.Stat(filepath.Join(r.Root, p)); err == nil {
				fmt.Fprintln(h, p, info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	for _, dir := range firmwareDirs {
		err := filepath.WalkDir(filepath.Join(r.Root, dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				fmt.Fprintln(h, strings.TrimPrefix(p, r.Root), info.Size(), info.ModTime().UnixNano())
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func kernelSource(version string) source {
	return source{Kernel, X64, true, []string{"boot/vmlinuz-" + version}}
}

// checkAgent refuses what cannot be PID 1 of an environment without libraries.
func checkAgent(path string) error {
	if err := checkStatic(path); err != nil {
		return fmt.Errorf("agent %s: %w: build it with `CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build`", path, err)
	}
	return nil
}

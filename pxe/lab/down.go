package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ingot/hypervisor/qemu"
)

// Down takes the rack in dir away: machines, devices, namespaces and, unless
// keepFiles, disks and logs. No rack in dir is no error, so it can be called
// twice and after an Up that failed. Programs that others left running in the
// namespaces are not ended; they are named in the error, after everything is gone.
func Down(ctx context.Context, dir string, keepFiles bool) error {
	l, err := Open(dir)
	if errors.Is(err, ErrNoLab) {
		return nil
	}
	if err != nil {
		return err
	}
	return l.Down(ctx, keepFiles)
}

// Down is as the function Down.
func (l *Lab) Down(ctx context.Context, keepFiles bool) error {
	if _, err := os.Stat(l.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := lock(ctx, filepath.Join(l.dir, lockName))
	if err != nil {
		return fmt.Errorf("take down rack: %w", err)
	}
	defer unlock()
	now, err := readSpec(l.dir)
	if errors.Is(err, ErrNoLab) {
		return nil
	}
	if err != nil {
		return err
	}
	l.spec = now
	if err := l.down(ctx, keepFiles); err != nil {
		return fmt.Errorf("take down rack %q: %w", l.spec.Name, err)
	}
	return nil
}

// down goes on after an error, so that as much as can be is taken away. The state
// file goes last, and only when nothing else is left.
func (l *Lab) down(ctx context.Context, keepFiles bool) error {
	var errs []error
	for _, m := range l.spec.Machines {
		errs = append(errs, off(ctx, l.machineDir(m.Name)))
	}
	errs = append(errs, l.endOrphans(ctx))
	left, err := l.foreignProcesses(ctx)
	errs = append(errs, err, l.spec.downNetwork(ctx))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := l.removeFiles(keepFiles); err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("these still run in a network namespace that has lost its devices: %s", strings.Join(left, ", "))
	}
	return nil
}

func (l *Lab) removeFiles(keep bool) error {
	names := []string{stateName, lockName}
	if !keep {
		names = append(names, machinesDir)
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(l.dir, name)))
	}
	if entries, err := os.ReadDir(l.dir); err == nil && len(entries) == 0 {
		errs = append(errs, os.Remove(l.dir))
	}
	return errors.Join(errs...)
}

// endOrphans kills machine processes that were started but never recorded, which
// happens when the program that started them was killed. They are known by
// working in a machine's directory.
func (l *Lab) endOrphans(ctx context.Context) error {
	pids, err := processes()
	if err != nil {
		return err
	}
	var errs []error
	for _, pid := range pids {
		cwd, err1 := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		exe, err2 := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
		ours := strings.HasPrefix(cwd, filepath.Join(l.dir, machinesDir)+"/") &&
			slices.Contains([]string{"qemu-system-x86_64", "swtpm"}, filepath.Base(exe))
		if err1 != nil || err2 != nil || !ours {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("kill process %d: %w", pid, err))
			continue
		}
		errs = append(errs, qemu.WaitPID(ctx, pid))
	}
	return errors.Join(errs...)
}

// foreignProcesses names what runs in the rack's namespaces. A process without its
// program's memory is on its way out, and is waited for.
func (l *Lab) foreignProcesses(ctx context.Context) ([]string, error) {
	inodes := map[uint64]bool{}
	for _, ns := range l.spec.namespaces() {
		var st syscall.Stat_t
		if err := syscall.Stat(filepath.Join("/run/netns", ns), &st); err == nil {
			inodes[st.Ino] = true
		}
	}
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, pid := range pids {
		proc := filepath.Join("/proc", strconv.Itoa(pid))
		var st syscall.Stat_t
		if syscall.Stat(filepath.Join(proc, "ns/net"), &st) != nil || !inodes[st.Ino] {
			continue
		}
		if _, err := os.Readlink(filepath.Join(proc, "exe")); err != nil {
			if err := qemu.WaitPID(ctx, pid); err != nil {
				return nil, err
			}
			continue
		}
		comm, err := os.ReadFile(filepath.Join(proc, "comm"))
		if err == nil {
			names = append(names, fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), pid))
		}
	}
	return names, nil
}

func processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

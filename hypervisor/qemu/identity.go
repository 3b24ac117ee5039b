package qemu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// identity names a process so that a reused pid is not taken for it.
type identity struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
	// StartTicks is when it started, in clock ticks since the host booted
	// (proc_pid_stat(5), field 22).
	StartTicks uint64 `json:"start_ticks"`
	// BootID is the host's boot in which that holds.
	BootID string `json:"boot_id"`
}

func identify(name string, pid int) (identity, error) {
	_, ticks, err := processState(pid)
	if err != nil {
		return identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, err
	}
	return identity{Name: name, PID: pid, StartTicks: ticks, BootID: strings.TrimSpace(string(boot))}, nil
}

// running reports whether the process still exists. One that has ended but was
// not reaped yet does not.
func (id identity) running() bool {
	now, err := identify(id.Name, id.PID)
	if err != nil || now != id {
		return false
	}
	state, _, err := processState(id.PID)
	return err == nil && state != 'Z' && state != 'X'
}

// processState reads state and start time of a process.
func processState(pid int) (state byte, startTicks uint64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The name before the last parenthesis may contain anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("read state of process %d: %d fields", pid, len(fields))
	}
	startTicks, err = strconv.ParseUint(string(fields[19]), 10, 64)
	return fields[0][0], startTicks, err
}

func (id identity) write(dir string) error {
	b, err := json.MarshalIndent(id, "", "\t")
	if err != nil {
		return err
	}
	return writeFileAtomic(filepath.Join(dir, identityName), append(b, '\n'))
}

// ErrNotRunning means that no process of the machine runs: it is switched off.
var ErrNotRunning = errors.New("the machine is not running")

func readIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, identityName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return identity{}, ErrNotRunning
	}
	if err != nil {
		return identity{}, err
	}
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return identity{}, fmt.Errorf("read %s: %w", path, err)
	}
	return id, nil
}

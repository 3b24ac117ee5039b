package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"ingot/hypervisor/qemu"
)

// Lab is a rack that stands.
type Lab struct {
	dir  string
	spec Spec
}

// Open returns the rack in dir. ErrNoLab means that there is none.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := readSpec(dir)
	if err != nil {
		return nil, err
	}
	return &Lab{dir: dir, spec: s}, nil
}

// Up builds the rack in dir, which is made when absent. The machines are off. When
// something fails, what was built is taken away again. A rack that stands in dir
// already is an error, and so is one elsewhere with the same name.
func Up(ctx context.Context, dir string, s Spec) (*Lab, error) {
	l, err := up(ctx, dir, s)
	if err != nil {
		return nil, fmt.Errorf("set up rack: %w", err)
	}
	return l, nil
}

func up(ctx context.Context, dir string, s Spec) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s = s.withDefaults()
	if err := s.validate(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root: run it with sudo")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := free(ctx, dir, s); err != nil {
		return nil, err
	}
	s.Accelerator = accelerator(ctx, s.Accelerator)
	// Written before anything is made: what is written here can be taken down.
	if err := s.write(dir); err != nil {
		return nil, err
	}
	l := &Lab{dir: dir, spec: s}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.down(context.WithoutCancel(ctx), false))
	}
	return l, nil
}

func accelerator(ctx context.Context, a qemu.Accelerator) qemu.Accelerator {
	if a != "" {
		return a
	}
	if ok, _ := qemu.ProbeKVM(ctx); ok {
		return qemu.AcceleratorKVM
	}
	return qemu.AcceleratorTCG
}

// free reports what is in the way of the rack.
func free(ctx context.Context, dir string, s Spec) error {
	if _, err := readSpec(dir); !errors.Is(err, ErrNoLab) {
		return errors.Join(fmt.Errorf("a rack stands in %s already: take it down first (ingot lab down)", dir), err)
	}
	present, err := namespaces(ctx)
	if err != nil {
		return err
	}
	for _, ns := range s.namespaces() {
		if slices.Contains(present, ns) {
			return fmt.Errorf("network namespace %q exists already: give the rack another name, or remove it with `ip netns delete %[1]s`", ns)
		}
	}
	return nil
}

func (l *Lab) build(ctx context.Context) error {
	if err := l.spec.upNetwork(ctx); err != nil {
		return err
	}
	for i, m := range l.spec.Machines {
		if err := l.buildMachine(ctx, m, i); err != nil {
			return err
		}
	}
	return nil
}

// Add racks one more machine, switched off.
func (l *Lab) Add(ctx context.Context, m Machine) error {
	unlock, err := lock(ctx, filepath.Join(l.dir, lockName))
	if err != nil {
		return err
	}
	defer unlock()
	now, err := readSpec(l.dir)
	if err != nil {
		return err
	}
	now.Machines = append(now.Machines, m.withDefaults(now.Name))
	if err := now.validate(); err != nil {
		return err
	}
	if err := now.write(l.dir); err != nil {
		return err
	}
	l.spec = now
	number := len(now.Machines) - 1
	return l.buildMachine(ctx, now.Machines[number], number)
}

// Spec is what the rack consists of, defaults filled in.
func (l *Lab) Spec() Spec { return l.spec }

// Dir is the rack's directory.
func (l *Lab) Dir() string { return l.dir }

// Namespace is the network namespace of the rack, in which a boot server runs.
func (l *Lab) Namespace() string { return l.spec.namespace() }

// NamespaceOf is the namespace of a network: its own one behind a router, else
// that of the rack. An unknown network is an error.
func (l *Lab) NamespaceOf(network string) (string, error) {
	n, ok := l.spec.network(network)
	if !ok {
		return "", fmt.Errorf("rack %q has no network %q", l.spec.Name, network)
	}
	return l.spec.namespaceOf(n), nil
}

// Command returns a command that runs in the namespace of the rack.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return Command(ctx, l.Namespace(), name, args...)
}

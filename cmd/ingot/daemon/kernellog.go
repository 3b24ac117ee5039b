package daemon

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"ingot/inventory/journal"
)

const (
	// heldTime is how long a message waits for the agent's copy, which comes within a
	// second when the agent is well.
	heldTime = 10 * time.Second
	// heldMax bounds what waits for one machine, heldMachines for how many.
	heldMax, heldMachines = 256, 4096
)

// kernelLog is the machines' logs with each message of a kernel in them once. The agent
// sends them by HTTP, netconsole the same by UDP, for the moment when there is no agent
// any more. So what came by UDP waits for the agent's copy, and goes into the log when
// there is none.
type kernelLog struct {
	journal *journal.Journal
	now     func() time.Time

	mu   sync.Mutex
	held map[string][]heldMessage
}

type heldMessage struct {
	at   time.Time
	text string
}

func newKernelLog(j *journal.Journal, now func() time.Time) *kernelLog {
	return &kernelLog{journal: j, now: now, held: map[string][]heldMessage{}}
}

// Append adds what an agent sent to its machine's log.
func (k *kernelLog) Append(machine string, text []byte) error {
	k.came(machine, text)
	return k.journal.Append(machine, text)
}

// came forgets the messages that the agent has sent now.
func (k *kernelLog) came(machine string, text []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range bytes.Lines(text) {
		if len(k.held[machine]) == 0 {
			return
		}
		message, ok := strings.CutPrefix(string(line), "kernel: ")
		if !ok {
			continue
		}
		same := func(h heldMessage) bool { return plainMessage(h.text) == plainMessage(message) }
		if i := slices.IndexFunc(k.held[machine], same); i >= 0 {
			k.held[machine] = slices.Delete(k.held[machine], i, i+1)
		}
	}
}

// plainMessage is a kernel's message without its time and its caller.
func plainMessage(s string) string {
	s = strings.TrimSpace(s)
	for strings.HasPrefix(s, "[") {
		head, rest, ok := strings.Cut(s[1:], "]")
		if !ok || strings.Trim(head, " 0123456789.TC") != "" {
			break
		}
		s = strings.TrimSpace(rest)
	}
	return s
}

// hold keeps a message that came by netconsole.
func (k *kernelLog) hold(machine string, text []byte) error {
	k.mu.Lock()
	_, known := k.held[machine]
	full := len(k.held[machine]) >= heldMax || !known && len(k.held) >= heldMachines
	if !full {
		k.held[machine] = append(k.held[machine], heldMessage{k.now(), string(text)})
	}
	k.mu.Unlock()
	if !full {
		return nil
	}
	return errors.Join(k.release(machine, 0), k.write(machine, string(text)))
}

// release puts what has waited so long into a machine's log.
func (k *kernelLog) release(machine string, waited time.Duration) error {
	limit := k.now().Add(-waited)
	k.mu.Lock()
	held := k.held[machine]
	n := 0
	for n < len(held) && !held[n].at.After(limit) {
		n++
	}
	due := slices.Clone(held[:n])
	if k.held[machine] = held[n:]; n == len(held) {
		delete(k.held, machine)
	}
	k.mu.Unlock()
	var errs []error
	for _, h := range due {
		errs = append(errs, k.write(machine, h.text))
	}
	return errors.Join(errs...)
}

func (k *kernelLog) write(machine, text string) error {
	return k.journal.Append(machine, []byte("netconsole: "+strings.TrimRight(text, "\n")+"\n"))
}

// releaseAll does so for all machines.
func (k *kernelLog) releaseAll(waited time.Duration) error {
	k.mu.Lock()
	machines := make([]string, 0, len(k.held))
	for id := range k.held {
		machines = append(machines, id)
	}
	k.mu.Unlock()
	var errs []error
	for _, id := range machines {
		errs = append(errs, k.release(id, waited))
	}
	return errors.Join(errs...)
}

// run releases what has waited long enough, until ctx ends, then all.
func (k *kernelLog) run(ctx context.Context, report func(error)) error {
	tick := time.NewTicker(heldTime / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return k.releaseAll(0)
		case <-tick.C:
			if err := k.releaseAll(heldTime); err != nil {
				report(err)
			}
		}
	}
}

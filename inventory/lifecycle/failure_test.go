package lifecycle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// TestRetries: the pause between attempts doubles, the tries are counted, and the last
// failure stands until a new order.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	pause := w.l.Limits.Retry
	for try := 1; try < w.l.Limits.Tries; try++ {
		w.report(false, &inventory.Failure{Step: "write", Reason: "no route"})
		if e := w.machine().Status.Error; e == nil || e.Permanent {
			t.Fatalf("try %d: error %+v, want one that is tried again", try, e)
		}
		w.pass(pause - time.Second)
		if w.machine().Status.Report == nil {
			t.Fatalf("try %d was begun before the pause was over", try)
		}
		w.beat()
		w.pass(time.Second)
		if s := w.machine().Status; s.Report != nil || s.Tries != try || s.Error != nil {
			t.Fatalf("try %d after the pause: %+v", try, s)
		}
		w.beat()
		pause *= 2
	}
	w.report(false, &inventory.Failure{Step: "write", Reason: "no route"})
	if e := w.machine().Status.Error; e == nil || !e.Permanent || !strings.Contains(e.Try, "5 times") {
		t.Errorf("after the last try: %+v", e)
	}
	w.pass(time.Hour)
	w.want(inventory.Deploying, inventory.PhaseWrite)
	w.agentUp("boot-2")
	w.deploy(lifecycle.DeployOrder{})
	if s := w.machine().Status; s.Error != nil || s.Tries != 0 || s.Phase != inventory.PhaseWrite {
		t.Errorf("after a new order: %+v", s)
	}
}

func TestPermanentFailureIsNotRetried(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	w.report(false, &inventory.Failure{Step: "write", Reason: "foreign data", Permanent: true})
	w.pass(time.Hour)
	if s := w.machine().Status; s.Report == nil || s.Error == nil || s.Phase != inventory.PhaseWrite {
		t.Errorf("after an hour: %+v", s)
	}
	if n := strings.Count(strings.Join(w.timeline(), "\n"), "foreign data"); n != 1 {
		t.Errorf("the failure was told %d times, want once", n)
	}
}

// TestPowerCut: the agent vanishes in the middle of the write; when the machine boots
// again the order goes on by itself.
func TestPowerCut(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.deploy(lifecycle.DeployOrder{})
	w.edit(func(m *inventory.Machine) {
		m.Status.Agent.LastLog = "writing sda"
		m.Status.Progress = &inventory.Progress{Step: "write", Bytes: 43, TotalBytes: 100}
	})
	w.pass(w.l.Limits.Silent)
	w.want(inventory.Deploying, inventory.PhaseBoot)
	if got := w.timeline(); !strings.Contains(strings.Join(got, "\n"), "agent fell silent; its last log line: writing sda") {
		t.Errorf("timeline: %q", got)
	}
	w.pass(time.Minute)
	w.agentUp("boot-2")
	w.want(inventory.Deploying, inventory.PhaseWrite)
	w.report(true, nil)
	w.want(inventory.Deploying, inventory.PhaseReboot)
}

func TestOverdueAndRecovered(t *testing.T) {
	w := newWorld(t)
	w.approve()
	w.pass(w.l.Limits.Boot)
	e := w.machine().Status.Error
	if e == nil || e.Step != "inspect" || e.Try == "" || e.Permanent {
		t.Fatalf("error = %+v", e)
	}
	w.pass(time.Hour)
	w.agentUp("boot-1")
	w.want(inventory.Ready, "")
	if e := w.machine().Status.Error; e != nil {
		t.Errorf("error stands after recovery: %+v", e)
	}
	want := []string{"order 0: approve", "discovered → inspecting (approve)", "inspect failed: the machine has not booted the agent",
		"inspect goes on", "inspecting → ready (inspected)"}
	if d := cmp.Diff(want, w.timeline()); d != "" {
		t.Errorf("timeline (-want +got):\n%s", d)
	}
}

// TestExecutorFails: what can't be begun is a failure beside the state, told once, and
// begun again when it can.
func TestExecutorFails(t *testing.T) {
	w := newWorld(t)
	w.ready()
	w.exec.err = errors.New("BMC does not answer")
	w.deploy(lifecycle.DeployOrder{})
	w.pass(time.Second)
	w.want(inventory.Deploying, inventory.PhasePrepare)
	before := w.machine().Revision
	w.pass(time.Second)
	if now := w.machine().Revision; now != before {
		t.Errorf("the machine was written %d times while its failure stood", now-before)
	}
	if n := strings.Count(strings.Join(w.timeline(), "\n"), "boot failed: BMC does not answer"); n != 1 {
		t.Errorf("the failure was told %d times, want once", n)
	}
	w.exec.err = inventory.ErrUnsupported
	w.beat()
	w.want(inventory.Deploying, inventory.PhaseWrite)
}

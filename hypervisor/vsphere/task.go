package vsphere

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/inventory"
)

const (
	// lingerTime is how long after its context's end a call may still clean up: learn
	// which task it started, cancel it and see it end.
	lingerTime = 3 * time.Second
	// pollTime is how long one wait for updates lasts at the server.
	pollTime = 20
	// rewaits is how often a wait begins anew after its collector was lost with a session.
	rewaits = 5
)

// linger is a context that ends a while after ctx does.
func linger(ctx context.Context) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(lingerTime, cancel) })
	return long, func() { stop(); cancel() }
}

// starter calls a method that returns a task.
type starter func(context.Context) (types.ManagedObjectReference, error)

// run starts a task and waits for its end. A question of one of the machines asked about
// (an unanswered one hangs a power-on for ever) ends it with an error. When ctx ends the
// task is cancelled; it may have done its work by then.
func (d *Driver) run(ctx context.Context, doing string, start starter, asking ...types.ManagedObjectReference) (types.AnyType, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	long, cancel := linger(ctx)
	defer cancel()
	task, err := start(long)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, translate(doing, err)
	}
	result, err := d.await(ctx, task, asking)
	if err != nil && !isTaskEnd(err) {
		d.cancel(long, task)
	}
	return result, translate(doing, err)
}

func isTaskEnd(err error) bool { _, ok := err.(taskError); return ok }

// cancel asks the server to give a task up, and waits until it did or finished.
func (d *Driver) cancel(ctx context.Context, task types.ManagedObjectReference) {
	if _, err := methods.CancelTask(ctx, d.client, &types.CancelTask{This: task}); err != nil {
		d.log.Info("task can't be cancelled", "task", task.Value, "err", err)
	}
	_, _ = d.await(ctx, task, nil) // what it left is found by the next call
}

// await waits for a task's end and returns its result.
func (d *Driver) await(ctx context.Context, task types.ManagedObjectReference, asking []types.ManagedObjectReference) (types.AnyType, error) {
	watched := []watched{{task, []string{"info.state", "info.result", "info.error"}}}
	for _, vm := range asking {
		watched = append(watched, watchedVM(vm))
	}
	var info types.TaskInfo
	var question *types.VirtualMachineQuestionInfo
	err := d.watch(ctx, watched, func(u types.ObjectUpdate) bool {
		for _, c := range u.ChangeSet {
			switch v := c.Val.(type) {
			case types.TaskInfoState:
				info.State = v
			case types.LocalizedMethodFault:
				info.Error = &v
			case types.VirtualMachineQuestionInfo:
				question = &v
			default:
				if c.Name == "info.result" {
					info.Result = v
				}
			}
		}
		return question != nil || info.State == types.TaskInfoStateSuccess || info.State == types.TaskInfoStateError
	})
	switch {
	case err != nil:
		return nil, err
	case info.State == types.TaskInfoStateError && info.Error != nil:
		return nil, taskError{info.Error}
	case info.State == types.TaskInfoStateError:
		return nil, taskError{&types.LocalizedMethodFault{Fault: &types.SystemError{Reason: "no reason given"}}}
	case question != nil && info.State != types.TaskInfoStateSuccess:
		return nil, fmt.Errorf("the machine asks %q: answer it at the host: %w", question.Text, inventory.ErrBusy)
	}
	return info.Result, nil
}

func watchedVM(vm types.ManagedObjectReference) watched {
	return watched{vm, []string{"runtime.question"}}
}

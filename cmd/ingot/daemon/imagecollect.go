package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"ingot/images"
	"ingot/inventory"
	"ingot/inventory/api"
)

// Collect implements rest.Images.
func (w *imageWork) Collect(ctx context.Context, in api.ImageCollect) ([]api.ImageDecision, error) {
	plan, err := w.plan(ctx)
	if err != nil {
		return nil, err
	}
	if !in.DryRun {
		if err := w.collect(ctx, plan); err != nil {
			return nil, err
		}
	}
	rows := decisionRows(plan, false)
	if w.share == nil {
		return rows, nil
	}
	shared, err := w.collectBucket(ctx, in.DryRun)
	return append(rows, decisionRows(shared, true)...), err
}

func decisionRows(plan []images.Decision, shared bool) []api.ImageDecision {
	rows := []api.ImageDecision{}
	for _, d := range plan {
		rows = append(rows, api.ImageDecision{Name: d.Image.Name, Digest: d.Image.Digest, Version: d.Image.Version, Bucket: shared,
			Keep: d.Keep, Why: d.Why, FreesBytes: d.FreesBytes})
	}
	return rows
}

// collectBucket decides about what is in the bucket, and takes away what can go.
func (w *imageWork) collectBucket(ctx context.Context, dryRun bool) ([]images.Decision, error) {
	plan, err := w.share.Plan(ctx)
	if err != nil || dryRun {
		return plan, err
	}
	_, err = w.share.Collect(ctx, plan)
	return plan, err
}

func (w *imageWork) plan(ctx context.Context) ([]images.Decision, error) {
	uses, err := w.uses(ctx)
	if err != nil {
		return nil, err
	}
	return w.publish.Store.Plan(ctx, uses, images.Retention{KeepPerChannel: w.cfg.Keep, Grace: w.cfg.Grace})
}

// collect takes away what the plan lets go, and tells of what is gone: the store looks at
// the channels once more, and may have kept some of it.
func (w *imageWork) collect(ctx context.Context, plan []images.Decision) error {
	freed, err := w.publish.Store.Collect(ctx, plan)
	logMended(w.publish.Store, w.log)
	left, listed := w.publish.Store.List(ctx)
	if listed != nil {
		return errors.Join(err, listed)
	}
	for _, d := range plan {
		if d.Keep || slices.ContainsFunc(left, func(i inventory.Image) bool { return i.Digest == d.Image.Digest }) {
			continue
		}
		if w.gone != nil {
			w.gone(ctx, d.Image.Digest)
		}
		err = errors.Join(err, w.tell(ctx, inventory.ImageRemoved{Name: d.Image.Name, Digest: d.Image.Digest, Why: "no channel, machine or rule keeps it"}))
	}
	if freed > 0 {
		w.log.Info("images collected", "bytes", freed)
	}
	return errors.Join(err, w.mirror(ctx))
}

// uses are the machines and rollouts that have or want an image.
func (w *imageWork) uses(ctx context.Context) (uses []images.Use, err error) {
	err = w.store.View(ctx, func(x inventory.Tx) error {
		machines, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		rollouts, err := x.Rollouts(ctx)
		if err != nil {
			return err
		}
		uses = nil
		for _, m := range machines {
			for _, digest := range []string{m.Spec.ImageDigest, m.Status.ImageDigest} {
				if digest != "" {
					uses = append(uses, images.Use{Digest: digest, By: fmt.Sprintf("%s %s", m.Kind, m.Name)})
				}
			}
		}
		for _, r := range rollouts {
			if r.State == inventory.RolloutRunning {
				uses = append(uses, images.Use{Digest: r.Digest, By: "rollout " + r.ID})
			}
		}
		return nil
	})
	return uses, err
}

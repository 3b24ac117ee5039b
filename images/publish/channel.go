package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/inventory"
)

// Move says how a channel gets an image.
type Move struct {
	Channel string
	// Untested moves it although the boot test is missing or was not passed.
	Untested bool
	// Why is for the channel's history.
	Why string
}

// Release boot-tests and signs an image, where that is still to be done, and moves the
// channel. A channel that never pointed anywhere moves at once: nobody follows it. One that
// is there already stays.
func (p *Publisher) Release(ctx context.Context, image inventory.Image, m Move, step func(Step)) (inventory.Image, error) {
	now, err := p.Store.Get(ctx, image.Name+":"+m.Channel)
	fresh := errors.Is(err, inventory.ErrNotFound)
	if err != nil && !fresh {
		return image, at("channel", err)
	}
	there := now.Digest == image.Digest
	if !fresh && !there && !m.Untested {
		if image, err = p.Test(ctx, image, nil, true, step); err != nil {
			return image, at("boot test", err)
		}
		if err := image.Proven(); err != nil {
			return image, at("boot test", err)
		}
	}
	if err := p.Sign(ctx, image); err != nil {
		return image, at("sign", err)
	}
	if err := p.move(ctx, image, m.Channel, m.Why); err != nil {
		return image, at("channel", err)
	}
	image, err = p.Store.Get(ctx, image.Name+"@"+image.Digest)
	return image, at("channel", err)
}

// move moves a channel and tells of it, unless it is there already. With keys, an image
// that none of them signed is refused.
func (p *Publisher) move(ctx context.Context, image inventory.Image, channel, why string) error {
	if err := p.trusted(ctx, image); err != nil {
		return err
	}
	now, err := p.Store.Get(ctx, image.Name+":"+channel)
	if err == nil && now.Digest == image.Digest {
		return nil
	}
	if err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	if _, err := p.Store.MoveChannel(ctx, image.Name, channel, image.Digest, why); err != nil {
		return err
	}
	return p.tell(ctx, inventory.ChannelMoved{Name: image.Name, Channel: channel, Digest: image.Digest, Why: why})
}

// Promote moves a channel to where another one points: to the version that was tested,
// which is not built again. One that has not passed its boot test is
// inventory.ErrConflict.
func (p *Publisher) Promote(ctx context.Context, name, from, to string) (inventory.Image, error) {
	image, err := p.Store.Get(ctx, name+":"+from)
	if err != nil {
		return image, err
	}
	return p.promote(ctx, image, to, "promoted from "+from)
}

func (p *Publisher) promote(ctx context.Context, image inventory.Image, to, why string) (inventory.Image, error) {
	if err := image.Proven(); err != nil {
		return image, err
	}
	if err := p.Sign(ctx, image); err != nil {
		return image, err
	}
	return image, p.move(ctx, image, to, why)
}

// rolledBack begins the reason of a move that a rollback made.
const rolledBack = "rolled back from "

// Rollback moves a channel to the version that it pointed to before.
func (p *Publisher) Rollback(ctx context.Context, name, channel string) (inventory.Image, error) {
	digest, err := p.Store.Previous(ctx, name, channel)
	if err != nil {
		return inventory.Image{}, err
	}
	now, err := p.Store.Get(ctx, name+":"+channel)
	if err != nil {
		return now, err
	}
	image, err := p.Store.Get(ctx, name+"@"+digest)
	if err != nil {
		return image, err
	}
	return image, p.move(ctx, image, channel, rolledBack+now.Digest)
}

// Rule promotes by itself: to the newest version that was in From for After and passed its
// boot test Passes times in each mode.
type Rule struct {
	From, To string
	After    time.Duration
	Passes   int
}

// Apply promotes by a rule, where there is a version for it that To does not have. moved
// tells whether it did.
func (p *Publisher) Apply(ctx context.Context, name string, r Rule) (image inventory.Image, moved bool, err error) {
	moves, err := p.Store.History(ctx, name)
	if err != nil {
		return image, false, err
	}
	digest := ripe(moves, r, p.Now())
	if digest == "" {
		return image, false, nil
	}
	image, err = p.Store.Get(ctx, name+"@"+digest)
	if errors.Is(err, inventory.ErrNotFound) {
		return image, false, nil
	}
	if err != nil || !Passed(image, r.Passes) {
		return image, false, err
	}
	why := fmt.Sprintf("was %s for %s and passed its boot test", r.From, r.After)
	image, err = p.promote(ctx, image, r.To, why)
	return image, err == nil, err
}

// ripe is the newest version that was in From long enough: not one that was rolled back,
// nor one that To had already, or has had something newer since.
func ripe(moves []inventory.ChannelMove, r Rule, now time.Time) string {
	bad := map[string]bool{}
	for _, m := range moves {
		if from, ok := strings.CutPrefix(m.Why, rolledBack); ok {
			bad[from] = true
		}
	}
	var newest inventory.ChannelMove
	for _, m := range moves {
		switch {
		case m.Channel == r.From && !bad[m.Digest] && !strings.HasPrefix(m.Why, rolledBack) && now.Sub(m.At) >= r.After:
			newest = m
		}
	}
	for _, m := range moves {
		if m.Channel == r.To && m.Digest == newest.Digest {
			return ""
		}
	}
	return newest.Digest
}

// Passed tells whether each mode's tests passed often enough, and the newest did.
func Passed(image inventory.Image, times int) bool {
	if image.Proven() != nil {
		return false
	}
	count := map[string]int{}
	for _, t := range image.Tests {
		if t.Passed {
			count[t.Mode]++
		}
	}
	for _, mode := range image.BootModes {
		if count[mode] < times {
			return false
		}
	}
	return true
}

package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// Use is something outside the store that needs an image.
type Use struct {
	// Digest of the image; By is who, for people: "machine web", "VM db (linked clone)".
	Digest, By string
}

// Retention says what is kept although nothing uses it.
type Retention struct {
	// KeepPerChannel is how many images each channel keeps, newest first, the present
	// one included.
	KeepPerChannel int
	// Grace keeps what is younger.
	Grace time.Duration
}

// Decision is what becomes of one image, and why.
type Decision struct {
	Image inventory.Image `json:"image"`
	Keep  bool            `json:"keep"`
	Why   string          `json:"why"`
	// FreesBytes is what goes with it: its derived files, and the chunks that nothing
	// has that stays. What several have that go counts for the last of them.
	FreesBytes int64 `json:"freesBytes"`
}

// Plan decides about each image, by name and newest first, and changes nothing. uses is
// all that the caller knows of: an image that none names, no channel points to and no
// rule keeps is to go.
func (s *Store) Plan(ctx context.Context, uses []Use, keep Retention) ([]Decision, error) {
	decisions, err := s.Decide(ctx, uses, keep)
	if err != nil {
		return nil, err
	}
	return decisions, s.weigh(ctx, decisions)
}

// Decide is [Store.Plan] without FreesBytes, for which all manifests would be read.
func (s *Store) Decide(ctx context.Context, uses []Use, keep Retention) ([]Decision, error) {
	list, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	reasons, err := s.reasons(ctx, uses, keep)
	if err != nil {
		return nil, err
	}
	decisions := make([]Decision, 0, len(list))
	for _, image := range list {
		why := reasons[image.Digest]
		if why == "" && s.now().Sub(image.Created) < keep.Grace {
			why = fmt.Sprintf("younger than %s", keep.Grace)
		}
		decisions = append(decisions, Decision{Image: image, Keep: why != "", Why: why})
	}
	return decisions, nil
}

// reasons are those to keep images, by digest; the strongest each.
func (s *Store) reasons(ctx context.Context, uses []Use, keep Retention) (map[string]string, error) {
	reasons := map[string]string{}
	because := func(digest, why string) {
		if reasons[digest] == "" {
			reasons[digest] = why
		}
	}
	channels, err := s.Channels(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range channels {
		because(c.Digest, fmt.Sprintf("channel %s:%s points to it", c.Name, c.Channel))
	}
	for _, u := range uses {
		because(u.Digest, u.By+" has it")
	}
	for _, c := range channels {
		recent, err := s.recentOf(ctx, c, keep.KeepPerChannel)
		if err != nil {
			return nil, err
		}
		for _, digest := range recent {
			because(digest, fmt.Sprintf("one of the last %d of channel %s:%s", keep.KeepPerChannel, c.Name, c.Channel))
		}
	}
	return reasons, nil
}

// recentOf are the last images that a channel pointed to and that are there.
func (s *Store) recentOf(ctx context.Context, c inventory.Channel, count int) ([]string, error) {
	moves, err := s.History(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	var recent []string
	for _, m := range slices.Backward(moves) {
		if len(recent) >= count {
			break
		}
		if m.Channel == c.Channel && !slices.Contains(recent, m.Digest) && s.has(m.Digest) {
			recent = append(recent, m.Digest)
		}
	}
	return recent, nil
}

// weigh fills in what goes with the images that go.
func (s *Store) weigh(ctx context.Context, decisions []Decision) error {
	index, err := s.frameIndex()
	if err != nil {
		return fmt.Errorf("plan what to remove: %w", err)
	}
	holders := map[master.Digest]int{}
	manifests := make([]frames, len(decisions))
	for i := range decisions {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := s.framesOf(decisions[i].Image.Digest)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("plan what to remove: %w", err)
		}
		for sum := range m {
			holders[sum]++
		}
		if !decisions[i].Keep {
			manifests[i] = m
		}
	}
	for i := range decisions {
		d := &decisions[i]
		if d.Keep {
			continue
		}
		for sum := range manifests[i] {
			if holders[sum]--; holders[sum] == 0 {
				d.FreesBytes += index.where[sum].length
			}
		}
		for format := range convertOptions {
			size, err := folderBytes(ctx, s.derived(d.Image.Digest, format))
			if err != nil {
				return err
			}
			d.FreesBytes += size
		}
		d.Why = fmt.Sprintf("nothing uses it: %s free", inventory.FormatBytes(d.FreesBytes))
	}
	return nil
}

func (s *Store) framesOf(digest string) (frames, error) {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(filepath.Join(s.blob(d), manifestName))
	if err != nil {
		return nil, err
	}
	f := frames{}
	f.add(m)
	return f, nil
}

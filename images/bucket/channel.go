package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"

	"ingot/images/master"
	"ingot/inventory"
)

// channels is the document of a name: where its channels point, and how they came there.
type channels struct {
	Channels []pointer               `json:"channels"`
	Moves    []inventory.ChannelMove `json:"moves"`

	etag string
}

// pointer is a channel. By is the server that moved it, for people.
type pointer struct {
	inventory.ChannelMove
	By string `json:"by,omitempty"`
}

func (c channels) at(channel string) (pointer, bool) {
	i := slices.IndexFunc(c.Channels, func(p pointer) bool { return p.Channel == channel })
	if i < 0 {
		return pointer{}, false
	}
	return c.Channels[i], true
}

// moved is the document after a move, with moves that came before it and are not known yet.
func (c channels) moved(to pointer, past []inventory.ChannelMove) channels {
	points := slices.DeleteFunc(slices.Clone(c.Channels), func(p pointer) bool { return p.Channel == to.Channel })
	points = append(points, to)
	slices.SortFunc(points, func(a, b pointer) int { return strings.Compare(a.Channel, b.Channel) })
	return channels{points, slices.Concat(c.Moves, past, []inventory.ChannelMove{to.ChannelMove}), c.etag}
}

func channelsKey(name string) string { return channelsFolder + name + ".json" }

// readChannels reads a name's channels; of a name without any it is empty.
func (s *Share) readChannels(ctx context.Context, name string) (channels, error) {
	data, etag, err := s.objects.get(ctx, channelsKey(name), maxDocumentBytes)
	if errors.Is(err, inventory.ErrNotFound) {
		return channels{}, nil
	}
	c := channels{etag: etag}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, inventory.Invalid("%s in %s: %v", channelsKey(name), s.objects, err)
	}
	for _, p := range c.Channels {
		if _, err := master.ParseDigest(p.Digest); err != nil || inventory.CheckName(p.Channel) != nil {
			return c, inventory.Invalid("%s in %s: channel %q points to %q", channelsKey(name), s.objects, p.Channel, p.Digest)
		}
	}
	return c, nil
}

// names lists the names that have channels, with the ETags of their documents.
func (s *Share) names(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for o, err := range s.objects.list(ctx, channelsFolder) {
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(path.Base(o.key), ".json")
		if ok && inventory.CheckImageName(name) == nil {
			all[name] = o.etag
		}
	}
	return all, nil
}

package netboot

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// TestStreak: DISCOVERs count since the client last got further; stops of a file since
// it last went out whole, and apart those at the same block.
func TestStreak(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	mac := inventory.MAC("52:54:00:00:00:01")
	saw := func(kind inventory.SightingKind, file string, block int64) inventory.Sighting {
		return inventory.Sighting{MAC: mac, Kind: kind, Detail: file, Count: 1, Values: inventory.SightingValues{Block: block}}
	}
	discover, stop := saw(inventory.SawDiscover, "", 0), func(block int64) inventory.Sighting { return saw(inventory.SawFileStopped, "a", block) }
	type count struct{ N, Same int64 }
	for name, c := range map[string]struct {
		seen []inventory.Sighting
		want count
	}{
		"in a row":                     {[]inventory.Sighting{discover, discover, discover}, count{3, 3}},
		"an offer ends nothing":        {[]inventory.Sighting{discover, saw(inventory.SawOffer, "", 0), discover}, count{2, 2}},
		"an ACK ends it":               {[]inventory.Sighting{discover, saw(inventory.SawAck, "", 0), discover}, count{1, 1}},
		"a file ends it":               {[]inventory.Sighting{discover, saw(inventory.SawFileDone, "a", 0), discover}, count{1, 1}},
		"stops at one block":           {[]inventory.Sighting{stop(31), stop(31), stop(31)}, count{3, 3}},
		"stops here and there":         {[]inventory.Sighting{stop(31), stop(7), stop(7)}, count{3, 2}},
		"fetched whole since":          {[]inventory.Sighting{stop(31), saw(inventory.SawFileDone, "a", 0), stop(31)}, count{1, 1}},
		"another file ends none":       {[]inventory.Sighting{stop(31), saw(inventory.SawFileDone, "b", 0), stop(31)}, count{2, 2}},
		"a DISCOVER between ends none": {[]inventory.Sighting{stop(31), discover, stop(31)}, count{2, 2}},
	} {
		r := NewRecorder(NewTable(Config{}), nil, func() time.Time { return t0 }, nil)
		var last inventory.Sighting
		for i, s := range c.seen {
			s.First, s.Last = t0.Add(time.Duration(i)*time.Second), t0.Add(time.Duration(i)*time.Second)
			r.row(&s)
			last = s
		}
		if diff := cmp.Diff(c.want, count{last.Values.Streak, last.Values.SameBlock}); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

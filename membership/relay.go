package membership

import (
	"slices"
	"time"
)

// maxRelays bounds the probes that we make for others at one time; past it
// the oldest is forgotten.
const maxRelays = 256

// relay is a probe made for another member.
type relay struct {
	own    uint32 // number of our probe
	seq    uint32 // number that the asker gave
	addr   string // the asker's
	asker  uint64
	target uint64
	until  time.Time
}

// relays are in the order of their ends, for all last equally long.
type relays struct {
	open []relay
}

func (v *relays) add(r relay) {
	if len(v.open) == maxRelays {
		v.open = slices.Delete(v.open, 0, 1)
	}
	v.open = append(v.open, r)
}

// take removes and returns the relay that an answer belongs to.
func (v *relays) take(own uint32, target uint64) (relay, bool) {
	for i, r := range v.open {
		if r.own == own && r.target == target {
			v.open = slices.Delete(v.open, i, i+1)
			return r, true
		}
	}
	return relay{}, false
}

func (v *relays) next() time.Time {
	if len(v.open) == 0 {
		return time.Time{}
	}
	return v.open[0].until
}

func (v *relays) expire(now time.Time) {
	keep := slices.IndexFunc(v.open, func(r relay) bool { return r.until.After(now) })
	if keep < 0 {
		keep = len(v.open)
	}
	v.open = slices.Delete(v.open, 0, keep)
}

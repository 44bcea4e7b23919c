package merkle

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStaleValueIsNotSent(t *testing.T) {
	ignored := 0
	for seed := range uint64(10) {
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		fill(5000, a, b)
		for i := range 60 {
			a.put(fmt.Sprintf("key-%07d", i*7), "newer at a")
			b.put(fmt.Sprintf("key-%07d", 4000+i*3), "newer at b")
		}
		converge(t, a, b, seed, RoundConfig{})
		ignored += a.ignored + b.ignored
	}
	require.Zero(t, ignored)
}

func TestOnlyAPlainPairDecidesWhichEntryIsStale(t *testing.T) {
	at := func(pos, time uint64) Item { return Item{Pos: pos, Time: time} }
	for name, tc := range map[string]struct {
		mine       []Item
		theirs     []Item
		send, want uint32
	}{
		"mine newer":             {[]Item{at(1, 5)}, []Item{at(1, 4)}, 1, 0},
		"theirs newer":           {[]Item{at(1, 4)}, []Item{at(1, 5)}, 0, 1},
		"one time":               {[]Item{at(1, 4)}, []Item{at(1, 4)}, 1, 1},
		"two positions":          {[]Item{at(1, 4)}, []Item{at(2, 5)}, 1, 1},
		"two of mine":            {[]Item{at(1, 4), at(1, 8)}, []Item{at(1, 5)}, 3, 1},
		"two of theirs":          {[]Item{at(1, 5)}, []Item{at(1, 4), at(1, 8)}, 1, 3},
		"a pair among others":    {[]Item{at(1, 4), at(2, 4), at(3, 9)}, []Item{at(0, 1), at(2, 5), at(3, 5)}, 5, 3},
		"as many as may be told": {[]Item{at(40, 1)}, manyItems(maxHeaders), 1, 1<<maxHeaders - 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRound(RoundConfig{Salt: 3, Source: &store{}})
			r.ear.listed = tc.mine
			var theirs []header
			for _, it := range tc.theirs {
				theirs = append(theirs, header{tag: r.salt.tag(it.Pos), time: it.Time})
			}
			r.owe(claim{kind: claimPrints, span: between(0, len(tc.mine))}, 1<<len(tc.mine)-1, theirs)
			d := r.mouth.debts[0]
			require.Equal(t, tc.want, d.want)
			var send []Item
			for i, it := range tc.mine {
				if tc.send&(1<<i) != 0 {
					send = append(send, it)
				}
			}
			require.Equal(t, send, append([]Item(nil), r.mouth.items[d.from:d.to]...))
		})
	}
}

func manyItems(n int) (items []Item) {
	for i := range n {
		items = append(items, Item{Pos: uint64(i), Time: 1})
	}
	return items
}

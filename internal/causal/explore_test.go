package causal

import (
	"fmt"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// explored is what came of a search through all histories of a budget.
type explored struct {
	states  int
	longest int    // steps
	wrong   string // with the history that leads to it; empty if nothing is
}

// link leads back to where a state was first reached from.
type link struct {
	parent uint64
	step   uint16 // which of the parent's successors
}

// explore goes through every state that a budget allows, nearest first, and stops
// at the first that is wrong, or after limit states, none if zero. States are told
// apart by 64 bits of a hash: two of ten million collide, and hide what lies behind
// one of them, once in 370,000 searches.
func explore(b budget, limit int) explored {
	first := start(b)
	root := xxhash.Sum64(first.encode(nil))
	seen := map[uint64]link{root: {}}
	frontier := [][]byte{first.encode(nil)}
	var out explored
	for depth := 0; len(frontier) > 0; depth++ {
		var next [][]byte
		for _, code := range frontier {
			from := decode(code)
			id := xxhash.Sum64(code)
			if wrong := from.check(); wrong != "" {
				out.wrong = fmt.Sprintf("%s\n%s", wrong, history(first, root, id, seen))
				out.states, out.longest = len(seen), depth
				return out
			}
			var step uint16
			from.successors(func(_ action, to *state) {
				step++
				code := to.encode(make([]byte, 0, 192))
				id2 := xxhash.Sum64(code)
				if _, ok := seen[id2]; ok {
					return
				}
				seen[id2] = link{id, step}
				next = append(next, code)
			})
			if limit > 0 && len(seen) > limit {
				out.states, out.longest = len(seen), depth
				return out
			}
		}
		frontier = next
		out.longest = depth
	}
	out.states = len(seen)
	return out
}

// history tells how a state was reached.
func history(from *state, root, id uint64, seen map[uint64]link) string {
	var steps []uint16
	for id != root {
		l := seen[id]
		steps = append(steps, l.step)
		id = l.parent
	}
	var b strings.Builder
	at := from
	for i := len(steps) - 1; i >= 0; i-- {
		var step uint16
		var next *state
		at.successors(func(a action, to *state) {
			if step++; step == steps[i] {
				next = to
				fmt.Fprintf(&b, "%3d. %v\n", len(steps)-i, a)
			}
		})
		at = decode(next.encode(nil))
	}
	b.WriteString(at.describe())
	return b.String()
}

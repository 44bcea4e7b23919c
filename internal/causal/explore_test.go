package causal

import (
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// explored is what came of a search through all histories of a budget.
type explored struct {
	states  int
	longest int    // steps
	wrong   string // with the history that leads to it; empty if nothing is
}

// search goes through every state that a budget allows, nearest first, and stops
// where one is wrong.
//
// States are told apart by 64 bits of a hash: two of ten million collide, and hide
// what lies behind one of them, once in 370,000 searches.
type search struct {
	from    *state
	lemma   bool            // check that too
	parents map[uint64]link // nil if not wanted
	visited hashes
	checked hashes // the cores of states

	mu    sync.Mutex
	wrong string
	at    uint64
}

// link leads back to where a state was first reached from.
type link struct {
	parent uint64
	step   uint16 // which of the parent's successors
}

// explore searches twice if something is wrong: the second time it remembers how
// each state was reached.
func explore(b budget, lemma bool) explored {
	s := search{from: start(b), lemma: lemma}
	out := s.run(runtime.GOMAXPROCS(0))
	if out.wrong != "" {
		s = search{from: start(b), lemma: lemma, parents: map[uint64]link{}}
		out = s.run(1)
		out.wrong += "\n" + s.history()
	}
	return out
}

func (s *search) run(workers int) explored {
	root := s.from.encode(nil)
	s.visited.add(xxhash.Sum64(root))
	var out explored
	frontier := [][]byte{root}
	for out.states = 1; len(frontier) > 0 && s.wrong == ""; out.longest++ {
		frontier = s.level(frontier, workers)
		out.states += len(frontier)
	}
	out.wrong = s.wrong
	return out
}

// hashes is a set, for several goroutines.
type hashes [64]struct {
	sync.Mutex
	all map[uint64]struct{}
}

// add reports whether a hash is new.
func (h *hashes) add(id uint64) bool {
	part := &h[id%uint64(len(h))]
	part.Lock()
	defer part.Unlock()
	if part.all == nil {
		part.all = map[uint64]struct{}{}
	}
	before := len(part.all)
	part.all[id] = struct{}{}
	return len(part.all) > before
}

// level checks the states of a frontier and returns the new ones behind it.
func (s *search) level(frontier [][]byte, workers int) [][]byte {
	var wg sync.WaitGroup
	found := make([][][]byte, workers)
	for w := range workers {
		wg.Go(func() {
			at := &state{}
			for i := w; i < len(frontier); i += workers {
				core := at.decode(frontier[i])
				if s.checked.add(xxhash.Sum64(frontier[i][:core])) {
					s.check(at, xxhash.Sum64(frontier[i]))
				}
				found[w] = s.expand(at, xxhash.Sum64(frontier[i]), found[w])
				frontier[i] = nil
			}
		})
	}
	wg.Wait()
	next := found[0]
	for _, f := range found[1:] {
		next = append(next, f...)
	}
	return next
}

func (s *search) check(at *state, id uint64) {
	wrong := at.check(s.lemma)
	if wrong == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong == "" {
		s.wrong, s.at = wrong, id
	}
}

func (s *search) expand(at *state, id uint64, next [][]byte) [][]byte {
	var step uint16
	var code []byte
	at.successors(func(_ action, to *state) {
		step++
		code = to.encode(code[:0])
		id2 := xxhash.Sum64(code)
		if !s.visited.add(id2) {
			return
		}
		if s.parents != nil {
			s.parents[id2] = link{id, step}
		}
		next = append(next, append([]byte(nil), code...))
	})
	return next
}

// history tells how the state was reached that is wrong.
func (s *search) history() string {
	var steps []uint16
	for id := s.at; ; {
		l, ok := s.parents[id]
		if !ok {
			break
		}
		steps = append(steps, l.step)
		id = l.parent
	}
	var b strings.Builder
	code := s.from.encode(nil)
	for i := len(steps) - 1; i >= 0; i-- {
		var step uint16
		at, next := &state{}, []byte(nil)
		at.decode(code)
		at.successors(func(a action, to *state) {
			if step++; step == steps[i] {
				next = to.encode(nil)
				fmt.Fprintf(&b, "%3d. %v\n", len(steps)-i, a)
			}
		})
		code = next
	}
	last := &state{}
	last.decode(code)
	b.WriteString(last.describe())
	return b.String()
}

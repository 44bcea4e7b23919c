package membership

import (
	"container/list"
	"math/rand/v2"
	"time"
)

// Limits of a machine's table.
const (
	// MaxDead is how many dead members are kept to be contacted again; past
	// it the longest dead is forgotten.
	MaxDead = 1024
	// MaxLeft is how many members that left are remembered.
	MaxLeft = 1024
)

// row is what is believed of one name, and where the row is filed.
type row struct {
	Member
	since time.Time // when State was entered
	size  int       // encoded

	allAt, liveAt int           // index in table.all; in table.live, or -1
	gone          *list.Element // in table.dead or table.left
	queued        *list.Element // in one of gossip's lists, that of told
	told          int           // how often the claim was told since it is queued
	suspectUntil  time.Time     // while Suspect
	ring          uint64        // the prober's round that the row was put into last
}

// table holds one row a name. No loop over a map decides anything: the lists
// have the order in which the rows came.
type table struct {
	byName     map[string]*row
	byInstance map[uint64]*row
	all        []*row     // the own row is all[0]
	live       []*row     // alive or suspect, without the own row
	dead, left *list.List // longest first
	version    uint64
}

func (t *table) init() {
	t.byName = make(map[string]*row)
	t.byInstance = make(map[uint64]*row)
	t.dead, t.left = list.New(), list.New()
}

// insert files a new row, in no list of its state.
func (t *table) insert(c Member) *row {
	r := &row{Member: c, size: memberSize(&c), allAt: len(t.all), liveAt: -1}
	t.byName[c.Name] = r
	t.byInstance[c.Instance] = r
	t.all = append(t.all, r)
	t.version++
	return r
}

// write replaces the row's claim by one about the same name.
func (t *table) write(r *row, c Member) {
	if r.Instance != c.Instance {
		delete(t.byInstance, r.Instance)
		t.byInstance[c.Instance] = r
	}
	r.Member, r.size = c, memberSize(&c)
	t.version++
}

// file puts the row into the list of its state and takes it out of the others.
func (t *table) file(r *row) {
	if r.gone != nil {
		t.dead.Remove(r.gone) // Remove leaves a list alone that the element is not of
		t.left.Remove(r.gone)
		r.gone = nil
	}
	switch {
	case r.State.live() && r.liveAt < 0:
		r.liveAt = len(t.live)
		t.live = append(t.live, r)
	case !r.State.live() && r.liveAt >= 0:
		last := t.live[len(t.live)-1]
		t.live[r.liveAt], last.liveAt = last, r.liveAt
		t.live[len(t.live)-1] = nil
		t.live = t.live[:len(t.live)-1]
		r.liveAt = -1
	}
	switch r.State {
	case Dead:
		r.gone = t.dead.PushBack(r)
	case Left:
		r.gone = t.left.PushBack(r)
	}
}

// remove forgets a row that is dead or left.
func (t *table) remove(r *row) {
	t.dead.Remove(r.gone)
	t.left.Remove(r.gone)
	last := t.all[len(t.all)-1]
	t.all[r.allAt], last.allAt = last, r.allAt
	t.all[len(t.all)-1] = nil
	t.all = t.all[:len(t.all)-1]
	delete(t.byName, r.Name)
	delete(t.byInstance, r.Instance)
	t.version++
}

// oldestGone returns the row to forget when there is no room: the one that
// left longest ago, else the longest dead. Nil when all are live.
func (t *table) oldestGone() *row {
	for _, l := range [...]*list.List{t.left, t.dead} {
		if e := l.Front(); e != nil {
			return e.Value.(*row)
		}
	}
	return nil
}

// sample draws up to k different live rows that want accepts.
func (t *table) sample(rng *rand.Rand, k int, want func(*row) bool) []*row {
	var picked []*row
	if len(t.live) > 8*k { // drawing again is rare: no need to copy the list
		for tries := 0; tries < 8*k && len(picked) < k; tries++ {
			r := t.live[rng.IntN(len(t.live))]
			if want(r) && !containsRow(picked, r) {
				picked = append(picked, r)
			}
		}
		return picked
	}
	for _, i := range rng.Perm(len(t.live)) {
		if len(picked) == k {
			break
		}
		if want(t.live[i]) {
			picked = append(picked, t.live[i])
		}
	}
	return picked
}

func containsRow(rows []*row, r *row) bool {
	for _, other := range rows {
		if other == r {
			return true
		}
	}
	return false
}

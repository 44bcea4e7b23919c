package reftree

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A model is a tree beside a sorted slice of the keys that it holds.
type model struct {
	t     require.TestingT
	store *store
	tree  *Tree
	keys  []string
	refs  map[string]uint32
}

func newModel(t require.TestingT, maxKey int) *model {
	s := newStore(t, maxKey)
	return &model{t: t, store: s, tree: New(s.key), refs: map[string]uint32{}}
}

func (m *model) insert(key string) {
	at, found := slices.BinarySearch(m.keys, key)
	ref := m.store.put([]byte(key))
	if found {
		require.Panics(m.t, func() { m.tree.Insert(ref) })
		m.store.drop(ref)
		return
	}
	m.tree.Insert(ref)
	m.keys = slices.Insert(m.keys, at, key)
	m.refs[key] = ref
}

// insertAll inserts those of the keys that are not there, in one call.
func (m *model) insertAll(keys []string) {
	var refs []uint32
	for _, key := range keys {
		if _, found := m.refs[key]; found {
			continue
		}
		m.refs[key] = m.store.put([]byte(key))
		refs = append(refs, m.refs[key])
		m.keys = append(m.keys, key)
	}
	slices.Sort(m.keys)
	m.tree.InsertAll(refs)
}

func (m *model) delete(key string) {
	at, found := slices.BinarySearch(m.keys, key)
	require.Equal(m.t, found, m.tree.Delete([]byte(key)))
	if found {
		m.keys = slices.Delete(m.keys, at, at+1)
		m.store.drop(m.refs[key])
		delete(m.refs, key)
	}
}

func (m *model) replace(key string) {
	old, found := m.refs[key]
	ref := m.store.put([]byte(key))
	require.Equal(m.t, found, m.tree.Replace([]byte(key), ref))
	if found {
		m.store.drop(old)
		m.refs[key] = ref
	} else {
		m.store.drop(ref)
	}
}

func (m *model) seek(after string, inclusive bool, limit int) {
	from := sort.Search(len(m.keys), func(i int) bool {
		return m.keys[i] > after || inclusive && m.keys[i] == after
	})
	c := m.tree.Seek([]byte(after), inclusive)
	for _, key := range m.keys[from:min(from+limit, len(m.keys))] {
		ref, ok := c.Next()
		require.True(m.t, ok, key)
		require.Equal(m.t, m.refs[key], ref, key)
	}
	if from+limit >= len(m.keys) {
		for range 2 {
			_, ok := c.Next()
			require.False(m.t, ok)
		}
	}
}

func (m *model) check() {
	require.NoError(m.t, m.tree.Check())
	require.Equal(m.t, len(m.keys), m.tree.Len())
}

// grow inserts keys, so that what follows meets a tree of several branches.
func (m *model) grow(order []int, key func(int) string) {
	for _, i := range order {
		m.insert(key(i))
	}
}

// What keys may look like: told apart by their first bytes, behind a beginning
// that they share, before and behind eight bytes that they share, by their length, by no head.
var forms = []func(int) string{
	func(i int) string { return string(number(i)) },
	func(i int) string { return fmt.Sprintf("%d:user", i) },
	func(i int) string { return fmt.Sprintf("user:%07d", i) },
	func(i int) string { return fmt.Sprintf("%03d/same-same/%02d", i/100, i%100) },
	func(i int) string { return fmt.Sprint(i%1000, strings.Repeat("\x00", i/1000)) },
	func(i int) string { return []string{"a", "\xff\xff\xff\xff\xff\xff\xff\xff"}[i%2] + fmt.Sprint(i) },
}

// Keys that stand apart from those forms, between or beside them.
var strays = []string{
	"", "\x00", "0", "00", "000/same-same", "0000000000000000", "1", "5:", "9", "k", "k:",
	"user", "user:", "user:0", "user:00000000", "user:~", "\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
}

func TestATreeIsASortedSlice(t *testing.T) {
	orders := map[string]func(int) []int{"ascending": ascending, "descending": descending, "random": random}
	names := []string{"ascending", "descending", "random"}
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, 32)
		form := rapid.SampledFrom(forms).Draw(t, "form")
		span := rapid.SampledFrom([]int{8, 200, 3_000, 12_000}).Draw(t, "span")
		m.grow(orders[rapid.SampledFrom(names).Draw(t, "order")](rapid.IntRange(0, span).Draw(t, "size")), form)
		m.check()

		place := rapid.IntRange(0, span)
		count := rapid.IntRange(1, span/4)
		run := func(do func(key string)) func(*rapid.T) {
			return func(t *rapid.T) {
				from, n := place.Draw(t, "from"), count.Draw(t, "count")
				stride := rapid.SampledFrom([]int{1, -1, 2, 7, 64, 1009}).Draw(t, "stride")
				for i := range n {
					at := (from + i*stride) % (2 * span)
					do(form((at + 2*span) % (2 * span)))
				}
			}
		}
		one := func(do func(key string)) func(*rapid.T) {
			return func(t *rapid.T) { do(form(place.Draw(t, "key"))) }
		}
		stray := rapid.SampledFrom(strays)
		t.Repeat(map[string]func(*rapid.T){
			"insert":      one(m.insert),
			"insert many": run(m.insert),
			"insert at once": func(t *rapid.T) {
				var keys []string
				run(func(key string) { keys = append(keys, key) })(t)
				m.insertAll(keys)
			},
			"delete":      one(m.delete),
			"delete many": run(m.delete),
			"replace":     one(m.replace),
			"refresh":     run(m.replace),
			"seek": func(t *rapid.T) {
				limit := rapid.SampledFrom([]int{1, 100, 1 << 20}).Draw(t, "limit")
				m.seek(form(place.Draw(t, "after")), rapid.Bool().Draw(t, "inclusive"), limit)
			},
			"insert a stray": func(t *rapid.T) { m.insert(stray.Draw(t, "stray")) },
			"delete a stray": func(t *rapid.T) { m.delete(stray.Draw(t, "stray")) },
			"seek a stray": func(t *rapid.T) {
				m.seek(stray.Draw(t, "after"), rapid.Bool().Draw(t, "inclusive"), 100)
			},
			"": func(*rapid.T) { m.check() },
		})
		m.seek("", true, 1<<20)
	})
}

func TestAnyBytesMakeAKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, 6)
		key := rapid.StringOfN(rapid.RuneFrom([]rune("\x00ab\x7f")), 0, 6, 6)
		t.Repeat(map[string]func(*rapid.T){
			"insert":  func(t *rapid.T) { m.insert(key.Draw(t, "key")) },
			"delete":  func(t *rapid.T) { m.delete(key.Draw(t, "key")) },
			"replace": func(t *rapid.T) { m.replace(key.Draw(t, "key")) },
			"seek":    func(t *rapid.T) { m.seek(key.Draw(t, "after"), rapid.Bool().Draw(t, "inclusive"), 100) },
			"insert at once": func(t *rapid.T) {
				m.insertAll(rapid.SliceOf(key).Draw(t, "keys"))
			},
			"": func(*rapid.T) { m.check() },
		})
	})
}

func TestEveryPrefixIsScannedInOrder(t *testing.T) {
	m := newModel(t, 6)
	for _, i := range random(5 * 5 * 5 * 5 * 5 * 5) {
		key := make([]byte, 0, 6)
		for range i % 7 {
			key = append(key, "abcde"[i%5])
			i /= 5
		}
		m.insertOnce(string(key))
	}
	m.check()
	require.Greater(t, len(m.tree.branches), 1)

	prefixes := map[string]bool{}
	for _, key := range m.keys {
		for n := range len(key) + 1 {
			prefixes[key[:n]] = true
		}
	}
	for prefix := range prefixes {
		from, _ := slices.BinarySearch(m.keys, prefix)
		c := m.tree.Seek([]byte(prefix), true)
		for _, key := range m.keys[from:] {
			if !strings.HasPrefix(key, prefix) {
				break
			}
			ref, ok := c.Next()
			require.True(t, ok)
			require.Equal(t, m.refs[key], ref)
		}
		if ref, ok := c.Next(); ok {
			require.False(t, strings.HasPrefix(string(m.store.key(ref)), prefix))
		}
	}
}

func (m *model) insertOnce(key string) {
	if _, found := m.refs[key]; !found {
		m.insert(key)
	}
}

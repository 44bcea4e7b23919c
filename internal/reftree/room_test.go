package reftree

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// between returns a key between two neighbours of the second form.
func between(i, j int) string { return fmt.Sprintf("%s:%03d", forms[2](i), j) }

func TestAFullLeafGivesNoMoreThanItCanSpare(t *testing.T) {
	for _, keep := range [][2]int{{3, 4}, {4, 3}} {
		m := newModel(t, 16)
		m.grow(ascending(10*fanout), forms[2])
		for i := range fanout {
			if i >= keep[0] {
				m.delete(forms[2](i))
			}
			if i >= keep[1] {
				m.delete(forms[2](2*fanout + i))
			}
		}
		b := m.tree.branches[0]
		require.EqualValues(t, []int{keep[0], fanout, keep[1]}, []int{int(b.leaves[0].n), int(b.leaves[1].n), int(b.leaves[2].n)})
		for i := range 100 {
			m.insert(between(fanout+fanout/2, i))
			m.check()
		}
	}
}

func TestTheHalvesOfABranchJoinSmallNeighbours(t *testing.T) {
	const whole = fanout * fanout
	for _, small := range [][]int{{0}, {2}, {0, 2}} {
		m := newModel(t, 16)
		m.grow(ascending(5*whole), forms[2])
		for _, b := range small {
			for i := range whole - 10*fanout {
				m.delete(forms[2](b*whole + i))
			}
			require.EqualValues(t, 10, m.tree.branches[b].n)
		}
		m.check()
		require.EqualValues(t, fanout, m.tree.branches[1].n)
		branches := len(m.tree.branches)
		m.insert(between(whole+whole/2, 0))
		m.check()
		require.Len(t, m.tree.branches, branches+1-len(small))
		m.seek("", true, 1<<20)
	}
}

func TestLeavesThatBecomeNeighboursAreMerged(t *testing.T) {
	const whole = fanout * fanout
	m := newModel(t, 16)
	m.grow(ascending(2*whole), forms[2])
	for i := range fanout - 3 {
		m.delete(forms[2](whole - 1 - i))
		m.delete(forms[2](whole + i))
	}
	m.check()
	require.Len(t, m.tree.branches, 2)
	for i := range whole - 10*fanout {
		m.delete(forms[2](i))
		m.delete(forms[2](2*whole - 1 - i))
	}
	m.check()
	require.Len(t, m.tree.branches, 1)
	require.EqualValues(t, 2*10-1, m.tree.branches[0].n)
	m.seek("", true, 1<<20)
}

package reftree

// Nodes fill the size classes of Go's allocator: a leaf takes 256 bytes, a branch
// 1,280.
const (
	fanout = 63

	// Two neighbours that hold no more than this together become one. It leaves
	// room, so that the next insert does not split them again.
	mergeAt = 48

	leafBytes   = 256
	branchBytes = 1280
)

// A leaf has no pointers: the collector does not look into it.
type leaf struct {
	n    uint32
	refs [fanout]uint32 // refs[:n], their keys ascend
}

func (l *leaf) held() []uint32 { return l.refs[:l.n] }
func (l *leaf) full() bool     { return l.n == fanout }

func (l *leaf) insert(at int, ref uint32) {
	copy(l.refs[at+1:l.n+1], l.refs[at:l.n])
	l.refs[at] = ref
	l.n++
}

func (l *leaf) remove(at int) {
	copy(l.refs[at:], l.refs[at+1:l.n])
	l.n--
}

// give moves the last n references to the leaf behind.
func (l *leaf) give(n int, to *leaf) {
	copy(to.refs[n:], to.held())
	copy(to.refs[:n], l.held()[int(l.n)-n:])
	l.n -= uint32(n)
	to.n += uint32(n)
}

// take moves the first n references of the leaf behind to this one.
func (l *leaf) take(n int, from *leaf) {
	copy(l.refs[l.n:], from.refs[:n])
	copy(from.refs[:], from.refs[n:from.n])
	l.n += uint32(n)
	from.n -= uint32(n)
}

// A branch holds leaves, none of them empty. Behind the n-th all pointers are nil.
type branch struct {
	n      uint32
	skip   uint32
	first  [fanout]uint32 // first[i] == leaves[i].refs[0]
	heads  [fanout]uint64
	leaves [fanout]*leaf
}

func (b *branch) full() bool   { return b.n == fanout }
func (b *branch) fence() fence { return fence{&b.skip, b.first[:b.n], b.heads[:b.n]} }

// insert leaves the fence at the leaf to whoever fills it.
func (b *branch) insert(at int, l *leaf) {
	copy(b.first[at+1:b.n+1], b.first[at:b.n])
	copy(b.heads[at+1:b.n+1], b.heads[at:b.n])
	copy(b.leaves[at+1:b.n+1], b.leaves[at:b.n])
	b.leaves[at] = l
	b.n++
}

func (b *branch) remove(at int) {
	copy(b.first[at:], b.first[at+1:b.n])
	copy(b.heads[at:], b.heads[at+1:b.n])
	copy(b.leaves[at:], b.leaves[at+1:b.n])
	b.n--
	b.leaves[b.n] = nil
}

// give moves the last n leaves to the branch behind, which is empty. The fences
// are to be renewed.
func (b *branch) give(n int, to *branch) {
	from := int(b.n) - n
	copy(to.first[:], b.first[from:b.n])
	copy(to.leaves[:], b.leaves[from:b.n])
	clear(b.leaves[from:b.n])
	b.n -= uint32(n)
	to.n = uint32(n)
}

// takeAll moves all leaves of the branch behind to this one. The fence is to be
// renewed.
func (b *branch) takeAll(from *branch) {
	copy(b.first[b.n:], from.first[:from.n])
	copy(b.leaves[b.n:], from.leaves[:from.n])
	b.n += from.n
}

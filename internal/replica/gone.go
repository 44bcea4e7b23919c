package replica

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tochemey/gokv/engine"
)

// GoneReport is how a member stands to instances that are gone for good, as of one
// reading of its clock (docs/deletes.md, Retirement of instances). On the wire, big
// endian, each time as how long before another one it was:
//
//	members 8 │ clock less reading, uvarint │ count 1 │ standings by instance, ascending…
//	standing: instance 8 │ flags 1 │ place 8 │ since, unnamed: 0, or reading less that, plus one, uvarints
type GoneReport struct {
	Members uint64 // a hash of the instances that may return
	Reading uint64
	Of      []Standing
}

// Standing is a member's to one instance.
type Standing struct {
	engine.Gone
	// Asks: the member has not forgotten the instance yet. Else it answers somebody
	// who has not, and says no more than that it does not name the instance.
	Asks bool
	Sure bool // with Asks: the instance was a member, and its end is known
}

const (
	standingAsks = 1 << 0
	standingSure = 1 << 1
)

const (
	goneFixed   = 8 + binary.MaxVarintLen64 + 1
	mostOfGone  = 8 + 1 + 8 + 2*binary.MaxVarintLen64
	leastOfGone = 8 + 1 + 8 + 2
)

// appendTo appends the wire form of as many standings as so many bytes hold, which
// must be enough for one, beginning at another one with each turn.
func (g *GoneReport) appendTo(dst []byte, clock, turn uint64, room int) []byte {
	n := uint64(min(len(g.Of), (room-goneFixed)/mostOfGone))
	part := make([]Standing, 0, n)
	for i := range n {
		part = append(part, g.Of[(turn*n+i)%uint64(len(g.Of))])
	}
	slices.SortFunc(part, func(a, b Standing) int { return cmp.Compare(a.Instance, b.Instance) })
	dst = binary.BigEndian.AppendUint64(dst, g.Members)
	dst = binary.AppendUvarint(dst, clock-min(g.Reading, clock))
	dst = append(dst, byte(n))
	for _, s := range part {
		dst = binary.BigEndian.AppendUint64(dst, s.Instance)
		flags := byte(0)
		if s.Asks {
			flags = standingAsks
		}
		if s.Sure {
			flags |= standingSure
		}
		dst = append(dst, flags)
		dst = binary.BigEndian.AppendUint64(dst, s.Place)
		dst = appendBefore(dst, s.Since, g.Reading)
		dst = appendBefore(dst, s.Unnamed, g.Reading)
	}
	return dst
}

// appendBefore appends how long before a reading a time was, plus one; 0 for none.
func appendBefore(dst []byte, t, reading uint64) []byte {
	if t == 0 || t > reading {
		return append(dst, 0)
	}
	return binary.AppendUvarint(dst, reading-t+1)
}

// parseGone reads what appendTo wrote beside a clock, and returns what follows it.
func parseGone(b []byte, clock uint64) (g GoneReport, rest []byte, err error) {
	if len(b) < 8 {
		return GoneReport{}, nil, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	g.Members = binary.BigEndian.Uint64(b)
	before, b, err := shortUvarint(b[8:], clock)
	if err != nil {
		return GoneReport{}, nil, fmt.Errorf("reading: %w", err)
	}
	if before > clock || len(b) == 0 {
		return GoneReport{}, nil, fmt.Errorf("reading: before the clock began, or nothing follows: %w", ErrMalformed)
	}
	g.Reading = clock - before
	n, b := int(b[0]), b[1:]
	if n == 0 || n*leastOfGone > len(b) {
		return GoneReport{}, nil, fmt.Errorf("%d standings in %d bytes: %w", n, len(b), ErrMalformed)
	}
	g.Of = make([]Standing, n)
	for i := range g.Of {
		if b, err = g.Of[i].parse(b, g.Reading); err != nil {
			return GoneReport{}, nil, err
		}
		if i > 0 && g.Of[i-1].Instance >= g.Of[i].Instance {
			return GoneReport{}, nil, fmt.Errorf("instance %016x is out of order: %w", g.Of[i].Instance, ErrMalformed)
		}
	}
	return g, b, nil
}

func (s *Standing) parse(b []byte, reading uint64) (rest []byte, err error) {
	if len(b) < leastOfGone {
		return nil, fmt.Errorf("a standing is cut off: %w", ErrMalformed)
	}
	flags := b[8]
	if flags != 0 && flags&^standingSure != standingAsks {
		return nil, fmt.Errorf("a standing with flags %08b: %w", flags, ErrMalformed)
	}
	s.Asks, s.Sure = flags&standingAsks != 0, flags&standingSure != 0
	s.Instance, s.Place = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[9:])
	b = b[17:]
	for _, t := range []*uint64{&s.Since, &s.Unnamed} {
		before, rest, err := shortUvarint(b, reading)
		if err != nil {
			return nil, err
		}
		if before > 0 {
			if *t = reading - (before - 1); *t == 0 {
				return nil, fmt.Errorf("a time that is none: %w", ErrMalformed)
			}
		}
		b = rest
	}
	return b, nil
}

package causal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Knowledge on the wire. Counts and gaps are uvarints, instances and times are 8
// bytes, big endian. Everything ascends.
//
//	knowledge  vector of Seen │ count │ ahead… │ vector of Hidden
//	vector     count │ (instance 8 │ time 8)…
//	ahead      instance 8 │ time 8 │ how long before that the write before the run was
const (
	// MaxInstances bounds a vector that is read: more writers than a cluster
	// has had within the time that departed ones are remembered.
	MaxInstances = 1 << 16

	dotSize = 16
)

// ErrMalformed is what parsing wraps.
var ErrMalformed = errors.New("malformed")

// AppendTo appends v's wire form.
func (v Vector) AppendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	for _, d := range v {
		dst = binary.BigEndian.AppendUint64(dst, d.Instance)
		dst = binary.BigEndian.AppendUint64(dst, d.Time)
	}
	return dst
}

// AppendTo appends k's wire form.
func (k *Knowledge) AppendTo(dst []byte) []byte {
	dst = k.Seen.Base.AppendTo(dst)
	dst = binary.AppendUvarint(dst, uint64(len(k.Seen.Ahead)))
	for _, a := range k.Seen.Ahead {
		dst = binary.BigEndian.AppendUint64(dst, a.Instance)
		dst = binary.BigEndian.AppendUint64(dst, a.Time)
		dst = binary.AppendUvarint(dst, a.Time-a.Prev)
	}
	return k.Hidden.AppendTo(dst)
}

// ParseKnowledge reads what AppendTo wrote, and returns what follows it.
func ParseKnowledge(b []byte) (k Knowledge, rest []byte, err error) {
	if k.Seen.Base, b, err = ParseVector(b); err != nil {
		return Knowledge{}, nil, fmt.Errorf("seen: %w", err)
	}
	if k.Seen.Ahead, b, err = parseAhead(b); err != nil {
		return Knowledge{}, nil, fmt.Errorf("ahead: %w", err)
	}
	if k.Hidden, b, err = ParseVector(b); err != nil {
		return Knowledge{}, nil, fmt.Errorf("hidden: %w", err)
	}
	return k, b, nil
}

// ParseVector reads what Vector.AppendTo wrote, and returns what follows it.
func ParseVector(b []byte) (v Vector, rest []byte, err error) {
	n, b, err := parseCount(b, MaxInstances, dotSize)
	if err != nil || n == 0 {
		return nil, b, err
	}
	v = make(Vector, 0, n)
	for range n {
		d := Dot{Instance: binary.BigEndian.Uint64(b), Time: binary.BigEndian.Uint64(b[8:])}
		b = b[dotSize:]
		if d.Time == 0 || len(v) > 0 && v[len(v)-1].Instance >= d.Instance {
			return nil, nil, fmt.Errorf("instance %016x at %016x is out of order or at no time: %w", d.Instance, d.Time, ErrMalformed)
		}
		v = append(v, d)
	}
	return v, b, nil
}

func parseAhead(b []byte) (all []Ahead, rest []byte, err error) {
	n, b, err := parseCount(b, mostAhead, dotSize+1)
	if err != nil || n == 0 {
		return nil, b, err
	}
	all = make([]Ahead, 0, n)
	for range n {
		if len(b) <= dotSize {
			return nil, nil, fmt.Errorf("ends early: %w", ErrMalformed)
		}
		a := Ahead{Dot: Dot{Instance: binary.BigEndian.Uint64(b), Time: binary.BigEndian.Uint64(b[8:])}}
		gap, size := binary.Uvarint(b[dotSize:])
		if size <= 0 || size > 1 && gap < 1<<(7*(size-1)) || gap == 0 || gap > a.Time {
			return nil, nil, fmt.Errorf("%d before %016x: %w", gap, a.Time, ErrMalformed)
		}
		a.Prev = a.Time - gap
		b = b[dotSize+size:]
		if len(all) > 0 && (a.Instance < all[len(all)-1].Instance ||
			a.Instance == all[len(all)-1].Instance && a.Time <= all[len(all)-1].Time) {
			return nil, nil, fmt.Errorf("%016x at %016x is out of order: %w", a.Instance, a.Time, ErrMalformed)
		}
		all = append(all, a)
	}
	return all, b, nil
}

// parseCount reads how many follow, each of so many bytes at least.
func parseCount(b []byte, limit, size int) (n int, rest []byte, err error) {
	v, used := binary.Uvarint(b)
	switch {
	case used <= 0 || used > 1 && v < 1<<(7*(used-1)):
		return 0, nil, fmt.Errorf("count is cut off or not in its shortest form: %w", ErrMalformed)
	case v > uint64(limit) || v > uint64((len(b)-used)/size):
		return 0, nil, fmt.Errorf("%d named, at most %d, in %d bytes: %w", v, limit, len(b)-used, ErrMalformed)
	}
	return int(v), b[used:], nil
}

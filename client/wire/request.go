package wire

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// A request's flags. Each but the bare ones says that a field follows.
const (
	reqTTL       uint16 = 1 << 0  // u64 ms
	reqExpiresAt uint16 = 1 << 1  // u64 ms since 1970
	reqKeepTTL   uint16 = 1 << 2  // no field
	reqKeysOnly  uint16 = 1 << 3  // no field
	reqLimit     uint16 = 1 << 4  // u32
	reqAfter     uint16 = 1 << 5  // u16 length, bytes
	reqIfAbsent  uint16 = 1 << 10 // no field
	reqIfVersion uint16 = 1 << 11 // 16 bytes
	reqConcern   uint16 = 1 << 12 // u8
	reqExt       uint16 = 1 << 15

	reqKnown = reqTTL | reqExpiresAt | reqKeepTTL | reqKeysOnly | reqLimit | reqAfter | reqIfAbsent | reqIfVersion | reqConcern | reqExt

	requestFixed = 4 + 8 + 2 + 2 // timeout, clock, flags, key length
	itemFixed    = 1 + 2 + 2     // kind, flags, key length
)

// Request is one call. Which fields an operation takes: Key all that name one
// key, and forget for a member's name; Value, TTL or ExpiresAt or KeepTTL a put; TTL or ExpiresAt a touch;
// Prefix, After, Limit and KeysOnly a list.
type Request struct {
	Op Op
	// Timeout is how long the caller will wait, in whole milliseconds on the
	// wire, rounded up; zero: the node's own limit alone.
	Timeout time.Duration
	// Clock is the highest clock reading that the session has seen.
	Clock uint64
	Key   []byte
	Value []byte
	// TTL, in whole milliseconds on the wire, rounded up; zero: none.
	TTL time.Duration
	// ExpiresAt is milliseconds since 1970; zero: none.
	ExpiresAt int64
	// KeepTTL keeps the expiry of the entry that a put replaces.
	KeepTTL bool
	// Prefix bounds a list; After is the key that it goes on behind.
	Prefix, After []byte
	// Limit is the most entries of a list's response; zero: the node's choice.
	Limit uint32
	// KeysOnly leaves the values out of a list.
	KeysOnly bool
	// IfAbsent and IfVersion, if not zero, are conditions of a put or a delete: the
	// key is absent, or at that version. At most one of them.
	IfAbsent  bool
	IfVersion [16]byte
	// Concern is which members must hold a put or a delete before it is answered.
	Concern Concern
	// Items are a batch's puts and deletes: requests without Timeout, Clock and Ext.
	Items []Request
	// Ext holds hints that a node may ignore; none is defined yet.
	Ext []byte
}

// Conditional says whether the request demands something of what its key holds, or
// one of its items does.
func (r *Request) Conditional() bool {
	return r.IfAbsent || r.IfVersion != [16]byte{} || slices.ContainsFunc(r.Items, func(it Request) bool { return it.Conditional() })
}

// Check says why the request cannot be put on the wire. It checks what the
// codec needs and leaves the store's rules to the node.
func (r *Request) Check() error {
	spec, ok := r.Op.spec()
	switch {
	case !ok:
		return fmt.Errorf("%w: %v", ErrUnsupported, r.Op)
	case r.Timeout < 0:
		return fmt.Errorf("%v: timeout is negative: %w", r.Op, ErrMalformed)
	case r.TTL < 0:
		return fmt.Errorf("%v: TTL is negative: %w", r.Op, ErrMalformed)
	case r.ExpiresAt < 0:
		return fmt.Errorf("%v: expiry is negative: %w", r.Op, ErrMalformed)
	case len(r.subject()) > maxKeyField:
		return fmt.Errorf("%v: key is %d bytes, a request can spell %d: %w", r.Op, len(r.subject()), maxKeyField, ErrMalformed)
	case len(r.After) > maxKeyField:
		return fmt.Errorf("%v: continuation key is %d bytes, a request can spell %d: %w", r.Op, len(r.After), maxKeyField, ErrMalformed)
	case int64(len(r.Value)) > math.MaxUint32:
		return fmt.Errorf("%v: value is %d bytes, a request can spell %d: %w", r.Op, len(r.Value), uint32(math.MaxUint32), ErrMalformed)
	case r.Concern > ConcernAll:
		return fmt.Errorf("%v: write concern %d is none: %w", r.Op, r.Concern, ErrMalformed)
	case len(r.Ext) > MaxExt:
		return fmt.Errorf("%v: extension is %d bytes, the limit is %d: %w", r.Op, len(r.Ext), MaxExt, ErrMalformed)
	}
	if err := r.checkFields(spec, r.flags()); err != nil {
		return err
	}
	return r.checkItems(spec)
}

func (r *Request) checkItems(spec opSpec) error {
	switch {
	case !spec.items && len(r.Items) > 0:
		return fmt.Errorf("%v: takes no items: %w", r.Op, ErrMalformed)
	case spec.items && (len(r.Items) == 0 || len(r.Items) > maxItemField):
		return fmt.Errorf("%v: %d items, a request can spell 1 to %d: %w", r.Op, len(r.Items), maxItemField, ErrMalformed)
	}
	for i := range r.Items {
		it := &r.Items[i]
		err := it.Check()
		if err == nil && (it.Op != OpPut && it.Op != OpDelete || it.Timeout != 0 || it.Clock != 0 || it.Concern != ConcernLocal || len(it.Ext) != 0) {
			err = fmt.Errorf("%v: an item is a put or a delete, without timeout, clock, concern and extension: %w", it.Op, ErrMalformed)
		}
		if err != nil {
			return fmt.Errorf("%v: item %d: %w", r.Op, i+1, err)
		}
	}
	return nil
}

// checkFields is what Check and Parse demand alike of which fields go together.
func (r *Request) checkFields(spec opSpec, flags uint16) error {
	if stray := flags &^ (spec.flags | reqExt); stray != 0 {
		return fmt.Errorf("%v: flags %#04x do not belong to it: %w", r.Op, stray, ErrMalformed)
	}
	if n := flags & (reqTTL | reqExpiresAt | reqKeepTTL); n&(n-1) != 0 {
		return fmt.Errorf("%v: more than one of TTL, expiry and keep-TTL: %w", r.Op, ErrMalformed)
	}
	if flags&reqIfAbsent != 0 && flags&reqIfVersion != 0 {
		return fmt.Errorf("%v: both of if-absent and if-version: %w", r.Op, ErrMalformed)
	}
	if !spec.key && len(r.Key) > 0 {
		return fmt.Errorf("%v: takes no key: %w", r.Op, ErrMalformed)
	}
	if !spec.value && len(r.Value) > 0 {
		return fmt.Errorf("%v: takes no value: %w", r.Op, ErrMalformed)
	}
	return nil
}

// subject is what stands in the key's place.
func (r *Request) subject() []byte {
	if r.Op == OpList {
		return r.Prefix
	}
	return r.Key
}

func (r *Request) flags() (f uint16) {
	if r.TTL != 0 {
		f |= reqTTL
	}
	if r.ExpiresAt != 0 {
		f |= reqExpiresAt
	}
	if r.KeepTTL {
		f |= reqKeepTTL
	}
	if r.KeysOnly {
		f |= reqKeysOnly
	}
	if r.Limit != 0 {
		f |= reqLimit
	}
	if len(r.After) != 0 {
		f |= reqAfter
	}
	if r.IfAbsent {
		f |= reqIfAbsent
	}
	if r.IfVersion != [16]byte{} {
		f |= reqIfVersion
	}
	if r.Concern != ConcernLocal {
		f |= reqConcern
	}
	if len(r.Ext) != 0 {
		f |= reqExt
	}
	return f
}

// HeadSize is how many bytes AppendHead writes.
func (r *Request) HeadSize() int {
	spec, _ := r.Op.spec()
	n := requestFixed + r.fieldsSize(spec)
	if spec.items {
		n += 4
		for i := range r.Items {
			it := &r.Items[i]
			of, _ := it.Op.spec()
			n += itemFixed + it.fieldsSize(of) + len(it.Value)
		}
	}
	return n
}

// fieldsSize is how many bytes appendFields writes beyond flags and key length.
func (r *Request) fieldsSize(spec opSpec) int {
	n := len(r.subject())
	if r.TTL != 0 {
		n += 8
	}
	if r.ExpiresAt != 0 {
		n += 8
	}
	if r.Limit != 0 {
		n += 4
	}
	if len(r.After) != 0 {
		n += 2 + len(r.After)
	}
	if r.IfVersion != [16]byte{} {
		n += len(r.IfVersion)
	}
	if r.Concern != ConcernLocal {
		n++
	}
	if len(r.Ext) != 0 {
		n += 2 + len(r.Ext)
	}
	if spec.value {
		n += 4
	}
	return n
}

// AppendHead appends all of the body but Tail. The request must pass Check.
func (r *Request) AppendHead(dst []byte) []byte {
	spec, _ := r.Op.spec()
	dst = appendUint32(dst, millis32(r.Timeout))
	dst = appendUint64(dst, r.Clock)
	dst = r.appendFields(dst, spec)
	if spec.items {
		dst = appendUint32(dst, uint32(len(r.Items)))
		for i := range r.Items {
			it := &r.Items[i]
			of, _ := it.Op.spec()
			dst = append(it.appendFields(append(dst, byte(it.Op)), of), it.Value...)
		}
	}
	return dst
}

// appendFields appends what follows the clock, but for the value's bytes.
func (r *Request) appendFields(dst []byte, spec opSpec) []byte {
	subject := r.subject()
	dst = appendUint16(dst, r.flags())
	dst = appendUint16(dst, uint16(len(subject)))
	dst = append(dst, subject...)
	if r.TTL != 0 {
		dst = appendUint64(dst, millis(r.TTL))
	}
	if r.ExpiresAt != 0 {
		dst = appendUint64(dst, uint64(r.ExpiresAt))
	}
	if r.Limit != 0 {
		dst = appendUint32(dst, r.Limit)
	}
	if len(r.After) != 0 {
		dst = appendUint16(dst, uint16(len(r.After)))
		dst = append(dst, r.After...)
	}
	if r.IfVersion != [16]byte{} {
		dst = append(dst, r.IfVersion[:]...)
	}
	if r.Concern != ConcernLocal {
		dst = append(dst, byte(r.Concern))
	}
	if len(r.Ext) != 0 {
		dst = appendUint16(dst, uint16(len(r.Ext)))
		dst = append(dst, r.Ext...)
	}
	if spec.value {
		dst = appendUint32(dst, uint32(len(r.Value)))
	}
	return dst
}

// Tail is the end of the body, a put's value, apart so that a large one need
// not be copied behind the head.
func (r *Request) Tail() []byte { return r.Value }

// AppendTo appends the request's body. The request must pass Check.
func (r *Request) AppendTo(dst []byte) []byte {
	return append(r.AppendHead(dst), r.Tail()...)
}

// Parse reads the body of a frame of kind op. Key, Value, Prefix, After and Ext
// alias body. On an error the request holds nothing of use but Op.
func (r *Request) Parse(op Op, body []byte) error {
	*r = Request{Op: op}
	spec, ok := op.spec()
	if !ok {
		return fmt.Errorf("%w: operation %d", ErrUnsupported, uint8(op))
	}
	p := parser{rest: body}
	r.Timeout = time.Duration(p.uint32("timeout")) * time.Millisecond
	r.Clock = p.uint64("clock")
	flags, err := r.parseFields(&p, spec)
	if err != nil {
		return err
	}
	if spec.items {
		if err := r.parseItems(&p); err != nil {
			return err
		}
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	return r.checkFields(spec, flags)
}

func (r *Request) parseItems(p *parser) error {
	count := int64(p.uint32("item count"))
	switch {
	case p.err != nil:
	case count == 0 || count > maxItemField:
		p.fail("item count", "is out of range")
	case count*itemFixed > int64(len(p.rest)):
		p.fail("item count", "is more than the frame holds")
	}
	if p.err != nil {
		return fmt.Errorf("%v: %w", r.Op, p.err)
	}
	r.Items = make([]Request, count)
	for i := range r.Items {
		it := &r.Items[i]
		it.Op = Op(p.uint8("item's kind"))
		if p.err == nil && it.Op != OpPut && it.Op != OpDelete {
			p.fail("item's kind", "is neither put nor delete")
		}
		spec, _ := it.Op.spec()
		flags, err := it.parseFields(p, spec)
		switch {
		case p.err != nil:
			return fmt.Errorf("%v: %w", r.Op, p.err)
		case err == nil && flags&(reqExt|reqConcern) != 0:
			err = fmt.Errorf("%v: extension or write concern: %w", it.Op, ErrMalformed)
		case err == nil:
			err = it.checkFields(spec, flags)
		}
		if err != nil {
			return fmt.Errorf("%v: item %d: %w", r.Op, i+1, err)
		}
	}
	return nil
}

// parseFields takes what appendFields has appended and the value. The error is for
// flags that this version does not know.
func (r *Request) parseFields(p *parser, spec opSpec) (flags uint16, err error) {
	op := r.Op
	flags = p.uint16("flags")
	subject := p.bytes16("key")
	if p.err == nil && flags&^reqKnown != 0 {
		return 0, fmt.Errorf("%v: %w: flags %#04x", op, ErrUnsupported, flags&^reqKnown)
	}
	if op == OpList {
		r.Prefix = subject
	} else {
		r.Key = subject
	}
	if flags&reqTTL != 0 {
		r.TTL = time.Duration(p.positive("TTL", math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	if flags&reqExpiresAt != 0 {
		r.ExpiresAt = p.positive("expiry", math.MaxInt64)
	}
	r.KeepTTL = flags&reqKeepTTL != 0
	r.KeysOnly = flags&reqKeysOnly != 0
	if flags&reqLimit != 0 {
		if r.Limit = p.uint32("limit"); r.Limit == 0 {
			p.fail("limit", "is zero")
		}
	}
	if flags&reqAfter != 0 {
		r.After = p.filled("continuation key", p.bytes16("continuation key"))
	}
	r.IfAbsent = flags&reqIfAbsent != 0
	if flags&reqIfVersion != 0 {
		copy(r.IfVersion[:], p.take("demanded version", len(r.IfVersion)))
		if r.IfVersion == [16]byte{} {
			p.fail("demanded version", "is zero")
		}
	}
	if flags&reqConcern != 0 {
		r.Concern = Concern(p.uint8("write concern"))
		if p.err == nil && (r.Concern == ConcernLocal || r.Concern > ConcernAll) {
			p.fail("write concern", "is none")
		}
	}
	if flags&reqExt != 0 {
		r.Ext = p.ext()
	}
	if spec.value {
		r.Value = p.bytes32("value")
	}
	return flags, nil
}

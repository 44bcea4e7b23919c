package wire

import (
	"fmt"
	"math"
	"time"
)

// A response's flags.
const (
	respMessage   uint16 = 1 << 0  // u16 length, UTF-8
	respRetry     uint16 = 1 << 1  // u32 ms
	respVersion   uint16 = 1 << 2  // 16 bytes
	respExpiresAt uint16 = 1 << 3  // u64 ms since 1970
	respExisted   uint16 = 1 << 4  // no field
	respEntries   uint16 = 1 << 5  // u32 count, entries
	respMore      uint16 = 1 << 6  // no field
	respBody      uint16 = 1 << 7  // u32 length, CBOR
	respValue     uint16 = 1 << 8  // u32 length, bytes; last of all
	respResults   uint16 = 1 << 9  // u32 count, results
	respItem      uint16 = 1 << 10 // u32
	respHolders   uint16 = 1 << 11 // u16 holders, u16 members
	respExt       uint16 = 1 << 15

	respKnown = respMessage | respRetry | respVersion | respExpiresAt | respExisted | respEntries | respMore | respBody | respValue | respResults | respItem | respHolders | respExt

	responseFixed = 1 + 8 + 2      // code, clock, flags
	resultFixed   = 16 + 1         // version, existed
	entryFixed    = 2 + 16 + 8 + 4 // key length, version, expiry, value length
)

// Entry is one entry of a list.
type Entry struct {
	Key     []byte
	Value   []byte
	Version [16]byte
	// ExpiresAt is milliseconds since 1970; zero: it does not expire.
	ExpiresAt int64
}

// Result is what became of an item of a batch.
type Result struct {
	Version [16]byte
	Existed bool // there was something
}

// EntrySize is what an entry takes in a list's response: nodes count a page's
// bytes with it against MaxPageBytes.
func EntrySize(key, value int) int { return entryFixed + key + value }

// Response is the answer to a request.
type Response struct {
	Code Code
	// Message says why, when Code is not ok; at most MaxMessage bytes.
	Message string
	// RetryAfter hints when another try may succeed; zero: no hint.
	RetryAfter time.Duration
	// Clock is the node's clock reading: the session's next request carries it.
	Clock uint64
	// Version of the entry read or written; zero: none.
	Version   [16]byte
	ExpiresAt int64
	// Value of a get; nil: none.
	Value []byte
	// Existed answers exists; for a delete it says whether there was something.
	Existed bool
	// Entries of a list, in key order; More says that others follow them.
	Entries []Entry
	More    bool
	// Body is CBOR: an [Info].
	Body []byte
	// Results of a batch, one an item; Item is the one that it failed for, from 1 on,
	// zero: none.
	Results []Result
	Item    uint32
	// Holders are the members that are known to hold a write that was made with a
	// concern, the node included, of Members; zero: not asked.
	Holders, Members uint16
	// Ext holds hints that a client may ignore; none is defined yet.
	Ext []byte
}

// Reset empties the response and keeps the entries' memory.
func (r *Response) Reset() {
	clear(r.Entries)
	*r = Response{Entries: r.Entries[:0]}
}

// Fail makes the response an error.
func (r *Response) Fail(code Code, message string) {
	clock := r.Clock
	r.Reset()
	r.Clock, r.Code, r.Message = clock, code, message
}

// Check says why the response cannot be put on the wire.
func (r *Response) Check() error {
	switch {
	case r.RetryAfter < 0:
		return fmt.Errorf("response: retry hint is negative: %w", ErrMalformed)
	case r.ExpiresAt < 0:
		return fmt.Errorf("response: expiry is negative: %w", ErrMalformed)
	case len(r.Entries) > MaxPageEntries:
		return fmt.Errorf("response: %d entries, the limit is %d: %w", len(r.Entries), MaxPageEntries, ErrMalformed)
	case len(r.Results) > maxItemField:
		return fmt.Errorf("response: %d results, the limit is %d: %w", len(r.Results), maxItemField, ErrMalformed)
	case int64(len(r.Value)) > math.MaxUint32 || int64(len(r.Body)) > math.MaxUint32:
		return fmt.Errorf("response: a field is longer than %d bytes: %w", uint32(math.MaxUint32), ErrMalformed)
	case r.Holders > r.Members || (r.Holders == 0) != (r.Members == 0):
		return fmt.Errorf("response: %d holders of %d members: %w", r.Holders, r.Members, ErrMalformed)
	case len(r.Ext) > MaxExt:
		return fmt.Errorf("response: extension is %d bytes, the limit is %d: %w", len(r.Ext), MaxExt, ErrMalformed)
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		if len(e.Key) > maxKeyField || int64(len(e.Value)) > math.MaxUint32 || e.ExpiresAt < 0 {
			return fmt.Errorf("response: entry %d does not fit a list: %w", i, ErrMalformed)
		}
	}
	return nil
}

func (r *Response) flags() (f uint16) {
	if r.Message != "" {
		f |= respMessage
	}
	if r.RetryAfter != 0 {
		f |= respRetry
	}
	if r.Version != [16]byte{} {
		f |= respVersion
	}
	if r.ExpiresAt != 0 {
		f |= respExpiresAt
	}
	if r.Existed {
		f |= respExisted
	}
	if len(r.Entries) != 0 {
		f |= respEntries
	}
	if r.More {
		f |= respMore
	}
	if len(r.Body) != 0 {
		f |= respBody
	}
	if r.Value != nil {
		f |= respValue
	}
	if len(r.Results) != 0 {
		f |= respResults
	}
	if r.Item != 0 {
		f |= respItem
	}
	if r.Members != 0 {
		f |= respHolders
	}
	if len(r.Ext) != 0 {
		f |= respExt
	}
	return f
}

// HeadSize is how many bytes AppendHead writes.
func (r *Response) HeadSize() int {
	n := responseFixed
	if r.Message != "" {
		n += 2 + len(cut(r.Message))
	}
	if r.RetryAfter != 0 {
		n += 4
	}
	if r.Version != [16]byte{} {
		n += 16
	}
	if r.ExpiresAt != 0 {
		n += 8
	}
	if len(r.Entries) != 0 {
		n += 4
		for i := range r.Entries {
			n += EntrySize(len(r.Entries[i].Key), len(r.Entries[i].Value))
		}
	}
	if len(r.Body) != 0 {
		n += 4 + len(r.Body)
	}
	if len(r.Results) != 0 {
		n += 4 + resultFixed*len(r.Results)
	}
	if r.Item != 0 {
		n += 4
	}
	if r.Members != 0 {
		n += 4
	}
	if len(r.Ext) != 0 {
		n += 2 + len(r.Ext)
	}
	if r.Value != nil {
		n += 4
	}
	return n
}

// AppendHead appends all of the body but Tail. The response must pass Check.
func (r *Response) AppendHead(dst []byte) []byte {
	dst = append(dst, byte(r.Code))
	dst = appendUint64(dst, r.Clock)
	dst = appendUint16(dst, r.flags())
	if r.Message != "" {
		m := cut(r.Message)
		dst = appendUint16(dst, uint16(len(m)))
		dst = append(dst, m...)
	}
	if r.RetryAfter != 0 {
		dst = appendUint32(dst, millis32(r.RetryAfter))
	}
	if r.Version != [16]byte{} {
		dst = append(dst, r.Version[:]...)
	}
	if r.ExpiresAt != 0 {
		dst = appendUint64(dst, uint64(r.ExpiresAt))
	}
	if len(r.Entries) != 0 {
		dst = appendUint32(dst, uint32(len(r.Entries)))
		for i := range r.Entries {
			dst = r.Entries[i].appendTo(dst)
		}
	}
	if len(r.Body) != 0 {
		dst = appendUint32(dst, uint32(len(r.Body)))
		dst = append(dst, r.Body...)
	}
	if len(r.Results) != 0 {
		dst = appendUint32(dst, uint32(len(r.Results)))
		for i := range r.Results {
			existed := byte(0)
			if r.Results[i].Existed {
				existed = 1
			}
			dst = append(append(dst, r.Results[i].Version[:]...), existed)
		}
	}
	if r.Item != 0 {
		dst = appendUint32(dst, r.Item)
	}
	if r.Members != 0 {
		dst = appendUint16(appendUint16(dst, r.Holders), r.Members)
	}
	if len(r.Ext) != 0 {
		dst = appendUint16(dst, uint16(len(r.Ext)))
		dst = append(dst, r.Ext...)
	}
	if r.Value != nil {
		dst = appendUint32(dst, uint32(len(r.Value)))
	}
	return dst
}

func (e *Entry) appendTo(dst []byte) []byte {
	dst = appendUint16(dst, uint16(len(e.Key)))
	dst = append(dst, e.Key...)
	dst = append(dst, e.Version[:]...)
	dst = appendUint64(dst, uint64(e.ExpiresAt))
	dst = appendUint32(dst, uint32(len(e.Value)))
	return append(dst, e.Value...)
}

// Tail is the end of the body, a get's value, apart so that a large one need
// not be copied behind the head.
func (r *Response) Tail() []byte { return r.Value }

// AppendTo appends the response's body. The response must pass Check.
func (r *Response) AppendTo(dst []byte) []byte {
	return append(r.AppendHead(dst), r.Tail()...)
}

// Parse reads the body of a response's frame. Value, Body, Ext and the entries'
// keys and values alias body; Entries' memory is used again. On an error the
// response holds nothing of use.
func (r *Response) Parse(body []byte) error {
	r.Reset()
	p := parser{rest: body}
	r.Code = Code(p.uint8("code"))
	r.Clock = p.uint64("clock")
	flags := p.uint16("flags")
	if p.err == nil && flags&^respKnown != 0 {
		return fmt.Errorf("response: %w: flags %#04x", ErrUnsupported, flags&^respKnown)
	}
	if flags&respMessage != 0 {
		if m := p.filled("message", p.bytes16("message")); len(m) > MaxMessage {
			p.fail("message", "is too long")
		} else {
			r.Message = string(m)
		}
	}
	if flags&respRetry != 0 {
		if r.RetryAfter = time.Duration(p.uint32("retry hint")) * time.Millisecond; r.RetryAfter == 0 {
			p.fail("retry hint", "is zero")
		}
	}
	if flags&respVersion != 0 {
		copy(r.Version[:], p.take("version", len(r.Version)))
		if r.Version == [16]byte{} {
			p.fail("version", "is zero")
		}
	}
	if flags&respExpiresAt != 0 {
		r.ExpiresAt = p.positive("expiry", math.MaxInt64)
	}
	r.Existed = flags&respExisted != 0
	r.More = flags&respMore != 0
	if flags&respEntries != 0 {
		r.parseEntries(&p)
	}
	if flags&respBody != 0 {
		r.Body = p.filled("body", p.bytes32("body"))
	}
	if flags&respResults != 0 {
		r.parseResults(&p)
	}
	if flags&respItem != 0 {
		if r.Item = p.uint32("item"); r.Item == 0 {
			p.fail("item", "is zero")
		}
	}
	if flags&respHolders != 0 {
		r.Holders, r.Members = p.uint16("holders"), p.uint16("members")
		if p.err == nil && (r.Holders == 0 || r.Holders > r.Members) {
			p.fail("holders", "are none, or more than there are members")
		}
	}
	if flags&respExt != 0 {
		r.Ext = p.ext()
	}
	if flags&respValue != 0 {
		r.Value = p.bytes32("value")
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}

func (r *Response) parseEntries(p *parser) {
	count := int64(p.uint32("entry count"))
	switch {
	case p.err != nil:
		return
	case count == 0 || count > MaxPageEntries:
		p.fail("entry count", "is out of range")
		return
	case count*entryFixed > int64(len(p.rest)):
		p.fail("entry count", "is more than the frame holds")
		return
	}
	for range count {
		e := Entry{Key: p.bytes16("entry key")}
		copy(e.Version[:], p.take("entry version", len(e.Version)))
		e.ExpiresAt = int64(p.atMost("entry expiry", math.MaxInt64))
		e.Value = p.bytes32("entry value")
		if p.err != nil {
			return
		}
		r.Entries = append(r.Entries, e)
	}
}

func (r *Response) parseResults(p *parser) {
	count := int64(p.uint32("result count"))
	switch {
	case p.err != nil:
		return
	case count == 0 || count > maxItemField:
		p.fail("result count", "is out of range")
		return
	case count*resultFixed > int64(len(p.rest)):
		p.fail("result count", "is more than the frame holds")
		return
	}
	r.Results = make([]Result, count)
	for i := range r.Results {
		copy(r.Results[i].Version[:], p.take("result's version", 16))
		existed := p.uint8("existed")
		if existed > 1 {
			p.fail("existed", "is neither 0 nor 1")
		}
		r.Results[i].Existed = existed == 1
	}
}

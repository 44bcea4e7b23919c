package engine

import (
	"encoding/binary"
	"unsafe"

	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// record is an entry as it lies in the slab, and what the engine keeps beside
// it. Numbers are little endian and not aligned:
//
//	 0  kind and stage  1    kind | expires 4 (a tombstone too) | reaped 8 | stage 16
//	 1  key length      2
//	 3  value length    4
//	 7  version        16    time, instance
//	23  checksum        8
//	31  digest         16
//	47  key
//	    expiry          8    if expires; zero for a tombstone
//	    place           4    if expires: where the record is in shard.due or shard.dead, plus one; 0: nowhere
//	    value
//
// A record changes in place when its key is overwritten and the new one has
// room in its slot. So whoever reads one holds one of its shard's locks. Key
// and key length alone never change while the slot is in use: the ordered index
// compares keys of many shards under its own lock.
type record []byte

const (
	recKeyLen   = 1
	recValueLen = 3
	recTime     = 7
	recInstance = 15
	recChecksum = 23
	recDigest   = 31
	recKey      = 47

	expiryRoom = 8 + 4

	bitExpires = 4
	bitReaped  = 8
	stageShift = 4
)

// stage is where a record stands in its life: once dead it stays so, even if the
// wall clock is set back.
type stage uint8

const (
	stageLive stage = iota // has a value, is in the ordered index and in the digests, may have expired
	stageDead              // a tombstone or an expired put without its value, waits to be purged
)

// recordSize is how many bytes an entry takes in the slab.
func recordSize(ent *Entry) int {
	n := recKey + len(ent.Key) + len(ent.Value)
	if waits(ent) {
		n += expiryRoom
	}
	return n
}

// waits reports whether an entry will be swept or purged some time, and so needs
// a place.
func waits(ent *Entry) bool { return ent.ExpiresAt != 0 || ent.Kind == KindTombstone }

// write makes r the record of ent, whose key it has already unless it is new.
// Its place is nowhere.
func (r record) write(ent *Entry, st stage, d merkle.Digest, isNew bool) {
	if isNew {
		binary.LittleEndian.PutUint16(r[recKeyLen:], uint16(len(ent.Key)))
		copy(r[recKey:], ent.Key)
	}
	flags := byte(ent.Kind) | byte(st)<<stageShift
	if ent.reaped {
		flags |= bitReaped
	}
	binary.LittleEndian.PutUint32(r[recValueLen:], uint32(len(ent.Value)))
	binary.LittleEndian.PutUint64(r[recTime:], ent.Version.Time)
	binary.LittleEndian.PutUint64(r[recInstance:], ent.Version.Instance)
	binary.LittleEndian.PutUint64(r[recChecksum:], ent.Checksum)
	r.setDigest(d)
	if waits(ent) {
		flags |= bitExpires
	}
	r[0] = flags
	body := r.body()
	if waits(ent) {
		binary.LittleEndian.PutUint64(r[recKey+len(ent.Key):], uint64(ent.ExpiresAt))
		r.setPlace(-1)
	}
	copy(r[body:], ent.Value)
}

func (r record) kind() Kind   { return Kind(r[0] & flagKind) }
func (r record) stage() stage { return stage(r[0] >> stageShift) }
func (r record) reaped() bool { return r[0]&bitReaped != 0 }

func (r record) setStage(st stage) { r[0] = r[0]&(1<<stageShift-1) | byte(st)<<stageShift }

func (r record) version() Version {
	return Version{Time: binary.LittleEndian.Uint64(r[recTime:]), Instance: binary.LittleEndian.Uint64(r[recInstance:])}
}

func (r record) checksum() uint64 { return binary.LittleEndian.Uint64(r[recChecksum:]) }

func (r record) digest() merkle.Digest {
	return merkle.Digest{Lo: binary.LittleEndian.Uint64(r[recDigest:]), Hi: binary.LittleEndian.Uint64(r[recDigest+8:])}
}

func (r record) setDigest(d merkle.Digest) {
	binary.LittleEndian.PutUint64(r[recDigest:], d.Lo)
	binary.LittleEndian.PutUint64(r[recDigest+8:], d.Hi)
}

func (r record) keyLen() int   { return int(binary.LittleEndian.Uint16(r[recKeyLen:])) }
func (r record) valueLen() int { return int(binary.LittleEndian.Uint32(r[recValueLen:])) }

// body is where the value begins.
func (r record) body() int {
	at := recKey + r.keyLen()
	if r[0]&bitExpires != 0 {
		at += expiryRoom
	}
	return at
}

// key is the key's bytes in the slab.
func (r record) key() []byte { return r[recKey : recKey+r.keyLen()] }

// keyView is the key as a string that shares the slab's bytes: to be used
// under the shard's lock, and not kept.
func (r record) keyView() string {
	k := r.key()
	return unsafe.String(unsafe.SliceData(k), len(k))
}

// value is the value's bytes in the slab.
func (r record) value() []byte {
	at := r.body()
	return r[at : at+r.valueLen()]
}

func (r record) expiresAt() int64 {
	if r[0]&bitExpires == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(r[recKey+r.keyLen():]))
}

// place is where the record is in shard.due or shard.dead, -1 if nowhere.
func (r record) place() int {
	if r[0]&bitExpires == 0 {
		return -1
	}
	return int(binary.LittleEndian.Uint32(r[recKey+r.keyLen()+8:])) - 1
}

func (r record) setPlace(i int) {
	binary.LittleEndian.PutUint32(r[recKey+r.keyLen()+8:], uint32(i+1))
}

// liveAt reports whether readers get r, which may be nil, for a key that
// nobody ever wrote.
func (r record) liveAt(now int64) bool {
	if r == nil || r.stage() != stageLive {
		return false
	}
	at := r.expiresAt()
	return at == 0 || now < at
}

// entry is the record without its key, and with a value that shares the slab's
// bytes.
func (r record) entry() Entry {
	ent := Entry{
		Version: r.version(), ExpiresAt: r.expiresAt(), Checksum: r.checksum(), Kind: r.kind(), reaped: r.reaped(),
	}
	if ent.Kind == KindPut && !ent.reaped {
		ent.Value = r.value()
	}
	return ent
}

// records is the slab seen as records.
type records struct{ *slab.Allocator }

func (s records) at(ref slab.Ref) record { return s.Bytes(ref) }

// store puts ent into a slot of its own; zero says that there is no memory.
func (s records) store(ent *Entry, st stage, d merkle.Digest) slab.Ref {
	ref := s.Alloc(recordSize(ent))
	if ref != 0 {
		s.at(ref).write(ent, st, d, true)
	}
	return ref
}

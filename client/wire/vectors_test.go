package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/mux"
)

// The vectors are files, so that a client in another language can be tested with
// the same ones. docs/protocol.md describes their form.
var update = flag.Bool("update", false, "rewrite the test vectors")

// octets are bytes as the vectors spell them.
type octets []byte

func (o octets) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(o)), nil }

func (o *octets) UnmarshalText(b []byte) (err error) {
	*o, err = hex.DecodeString(string(b))
	return err
}

type requestVector struct {
	Name      string  `json:"name"`
	Frame     octets  `json:"frame"`
	ID        uint32  `json:"id"`
	Op        string  `json:"op"`
	TimeoutMS int64   `json:"timeout_ms"`
	Clock     uint64  `json:"clock,string"`
	Key       octets  `json:"key,omitempty"`
	Value     octets  `json:"value,omitempty"`
	TTLMS     int64   `json:"ttl_ms,omitempty"`
	ExpiresAt int64   `json:"expires_at_ms,omitempty"`
	KeepTTL   bool    `json:"keep_ttl,omitempty"`
	KeysOnly  bool    `json:"keys_only,omitempty"`
	IfAbsent  bool    `json:"if_absent,omitempty"`
	IfVersion octets  `json:"if_version,omitempty"`
	Concern   Concern `json:"concern,omitempty"`
	Prefix    octets  `json:"prefix,omitempty"`
	After     octets  `json:"after,omitempty"`
	Limit     uint32  `json:"limit,omitempty"`
	Ext       octets  `json:"ext,omitempty"`

	Items []requestVector `json:"items,omitempty"` // of a batch: no frame, ID, timeout and clock
}

func (v requestVector) message(t *testing.T) Request {
	r := Request{
		Op: opNamed(t, v.Op), Timeout: time.Duration(v.TimeoutMS) * time.Millisecond, Clock: v.Clock,
		Key: v.Key, Value: v.Value, TTL: time.Duration(v.TTLMS) * time.Millisecond, ExpiresAt: v.ExpiresAt,
		KeepTTL: v.KeepTTL, KeysOnly: v.KeysOnly, Prefix: v.Prefix, After: v.After, Limit: v.Limit, Ext: v.Ext, IfAbsent: v.IfAbsent,
		Concern: v.Concern,
	}
	copy(r.IfVersion[:], v.IfVersion)
	for _, it := range v.Items {
		r.Items = append(r.Items, it.message(t))
	}
	return r
}

func opNamed(t *testing.T, name string) Op {
	for _, op := range Ops() {
		if op.String() == name {
			return op
		}
	}
	t.Fatalf("no operation %q", name)
	return 0
}

type entryVector struct {
	Key       octets `json:"key"`
	Value     octets `json:"value"`
	Version   octets `json:"version"`
	ExpiresAt int64  `json:"expires_at_ms"`
}

type responseVector struct {
	Name         string        `json:"name"`
	Frame        octets        `json:"frame"`
	ID           uint32        `json:"id"`
	Code         string        `json:"code"`
	Clock        uint64        `json:"clock,string"`
	Message      string        `json:"message,omitempty"`
	RetryAfterMS int64         `json:"retry_after_ms,omitempty"`
	Version      octets        `json:"version,omitempty"`
	ExpiresAt    int64         `json:"expires_at_ms,omitempty"`
	Existed      bool          `json:"existed,omitempty"`
	Entries      []entryVector `json:"entries,omitempty"`
	More         bool          `json:"more,omitempty"`
	CBOR         octets        `json:"cbor,omitempty"`
	Info         any           `json:"cbor_decoded,omitempty"`
	Value        *octets       `json:"value,omitempty"`
	Ext          octets        `json:"ext,omitempty"`

	Results []resultVector `json:"results,omitempty"`
	Item    uint32         `json:"item,omitempty"`

	Holders uint16 `json:"holders,omitempty"`
	Members uint16 `json:"members,omitempty"`
}

type resultVector struct {
	Version octets `json:"version"`
	Existed bool   `json:"existed"`
}

func (v responseVector) message(t *testing.T) Response {
	r := Response{
		Clock: v.Clock, Message: v.Message, RetryAfter: time.Duration(v.RetryAfterMS) * time.Millisecond,
		ExpiresAt: v.ExpiresAt, Existed: v.Existed, More: v.More, Body: v.CBOR, Ext: v.Ext,
	}
	for _, c := range Codes() {
		if c.String() == v.Code {
			r.Code = c
		}
	}
	require.Equal(t, v.Code, r.Code.String())
	copy(r.Version[:], v.Version)
	if v.Value != nil {
		r.Value = *v.Value
	}
	r.Item, r.Holders, r.Members = v.Item, v.Holders, v.Members
	for _, one := range v.Results {
		out := Result{Existed: one.Existed}
		copy(out.Version[:], one.Version)
		r.Results = append(r.Results, out)
	}
	for _, e := range v.Entries {
		out := Entry{Key: e.Key, Value: e.Value, ExpiresAt: e.ExpiresAt}
		copy(out.Version[:], e.Version)
		r.Entries = append(r.Entries, out)
	}
	return r
}

// vectorsFile reads a file of vectors. With -update it first writes it, from want.
func vectorsFile[T any](t *testing.T, name string, want []T) []T {
	path := filepath.Join("testdata", "vectors", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		b, err := json.MarshalIndent(want, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(b, '\n'), 0o644))
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var got []T
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&got))
	require.Len(t, got, len(want), "run with -update and review the difference")
	return got
}

// clock is a reading of 2023-11-14T22:13:20Z, counter 7.
const clock = 1_700_000_000_000<<16 | 7

var testVersion = [16]byte{0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, 0, 7, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1}

func requestVectors() []requestVector {
	base := func(name, op string) requestVector {
		return requestVector{Name: name, ID: 1, Op: op, TimeoutMS: 5000, Clock: clock}
	}
	with := func(v requestVector, f func(*requestVector)) requestVector { f(&v); return v }
	key := func(name, op string) requestVector {
		return with(base(name, op), func(v *requestVector) { v.Key = octets("a/b") })
	}
	put := func(name string, f func(*requestVector)) requestVector {
		return with(key(name, "put"), func(v *requestVector) { v.Value = octets("value"); f(v) })
	}
	list := func(name string, f func(*requestVector)) requestVector { return with(base(name, "list"), f) }
	return []requestVector{
		key("get", "get"),
		with(key("get: no timeout, new session, largest ID", "get"), func(v *requestVector) {
			v.ID, v.TimeoutMS, v.Clock, v.Key = 0xffffffff, 0, 0, octets("schlüssel\x00\xff")
		}),
		put("put", func(*requestVector) {}),
		put("put: empty value", func(v *requestVector) { v.Value = octets{} }),
		put("put: TTL", func(v *requestVector) { v.TTLMS = 60_000 }),
		put("put: expiry", func(v *requestVector) { v.ExpiresAt = 1_700_000_060_000 }),
		put("put: keep the expiry", func(v *requestVector) { v.KeepTTL = true }),
		put("put: extension", func(v *requestVector) { v.Ext = octets{1, 2, 3} }),
		key("exists", "exists"),
		key("delete", "delete"),
		with(key("touch: TTL", "touch"), func(v *requestVector) { v.TTLMS = 1 }),
		with(key("touch: expiry", "touch"), func(v *requestVector) { v.ExpiresAt = 1_700_000_060_000 }),
		key("persist", "persist"),
		list("list: all", func(*requestVector) {}),
		list("list: everything set", func(v *requestVector) {
			v.Prefix, v.After, v.Limit, v.KeysOnly = octets("a/"), octets("a/b"), 100, true
		}),
		base("members", "members"),
		base("status", "status"),
		base("sync", "sync"),
		base("ping", "ping"),
		key("held", "held"),
		key("why", "why"),
		with(base("forget", "forget"), func(v *requestVector) { v.Key = octets("c") }),
		put("put: if absent, with a TTL", func(v *requestVector) { v.IfAbsent, v.TTLMS = true, 60_000 }),
		put("put: one member more must hold it", func(v *requestVector) { v.Concern = ConcernOne }),
		put("put: a quorum must hold it, if at a version", func(v *requestVector) { v.Concern, v.IfVersion = ConcernQuorum, testVersion[:] }),
		with(key("delete: all must hold it", "delete"), func(v *requestVector) { v.Concern = ConcernAll }),
		put("put: if at a version", func(v *requestVector) { v.IfVersion = testVersion[:] }),
		with(key("delete: if at a version", "delete"), func(v *requestVector) { v.IfVersion = testVersion[:] }),
		with(key("delete: if absent", "delete"), func(v *requestVector) { v.IfAbsent = true }),
		with(base("batch", "batch"), func(v *requestVector) {
			v.Items = []requestVector{
				{Op: "put", Key: octets("a/b"), Value: octets("value"), TTLMS: 60_000, IfAbsent: true},
				{Op: "put", Key: octets("a/c")},
				{Op: "delete", Key: octets("a/d"), IfVersion: testVersion[:]},
			}
		}),
	}
}

func responseVectors(t *testing.T) []responseVector {
	base := func(name string, f func(*responseVector)) responseVector {
		v := responseVector{Name: name, ID: 1, Code: "ok", Clock: clock}
		f(&v)
		return v
	}
	value := func(s string) *octets { o := octets(s); return &o }
	info := func(v *responseVector, body []byte, err error, decoded any) {
		require.NoError(t, err)
		v.CBOR, v.Info = body, decoded
	}
	members := []MemberInfo{{
		Name: "a:7946", State: "alive", PeerAddr: "10.0.0.1:7946", ClientAddr: "10.0.0.1:7947",
		Instance: 1<<63 + 1, Incarnation: 1_700_000_000_000, Leader: true,
	}, {Name: "b", State: "suspect", Instance: 2, Tags: map[string]string{"zone": "x"}}}
	status := StatusInfo{
		Name: "a:7946", Cluster: "gokv", BuildVersion: "v2.0.0", Instance: 1<<63 + 1, Ready: true,
		Entries: 3, Tombstones: 2, EntryBytes: 1000, RootDigest: "000102030405060708090a0b0c0d0e0f",
		RoundsEqual: 1, RoundsRepaired: 2, RoundsFailed: 3, LagSeconds: 0.25, UptimeSeconds: 10, Clock: clock,
	}
	heldUp := status
	heldUp.HeldUp = []HeldUpInfo{
		{Name: "b", Instance: 2, Dead: true, Reported: true, BehindSeconds: 90.5, Waiting: 2},
		{Name: "a:7946", Instance: 3, Dead: true, Earlier: true, Waiting: 1},
		{Instance: 4, Dead: true, Waiting: 1},
	}
	full := status
	full.MemoryBytes, full.MemoryLimit, full.Full = 500<<20, 512<<20, []string{"a:7946", "b"}
	syncs := []SyncInfo{
		{Peer: "b", Result: "repaired", BytesSent: 100, BytesReceived: 200, EntriesSent: 1, EntriesReceived: 2, DurationSeconds: 0.5},
		{Peer: "c", Result: "failed", Error: "connection lost"},
	}
	holding := HoldingInfo{
		Member: "a:7946", State: "expired", Version: "018bcfe568000007deadbeef00000001", Instance: 0xdeadbeef00000001,
		Writer: "b", Written: 1_700_000_000_000, ExpiresAt: 1_700_000_060_000, Size: 5,
	}
	holdings := []HoldingInfo{holding, {Member: "b", State: "unknown"}, {Member: "c", Error: "believed dead"}}
	forgotten := []ForgottenInfo{{Member: "a:7946"}, {Member: "b", Error: "connection lost"}}
	return []responseVector{
		base("get: found", func(v *responseVector) { v.Version, v.Value = testVersion[:], value("value") }),
		base("get: found, empty, expires", func(v *responseVector) {
			v.Version, v.ExpiresAt, v.Value = testVersion[:], 1_700_000_060_000, value("")
		}),
		base("get: not found", func(v *responseVector) { v.Code = "not_found" }),
		base("put, touch, persist: done", func(v *responseVector) { v.Version = testVersion[:] }),
		base("exists: yes", func(v *responseVector) { v.Existed = true }),
		base("exists: no; ping", func(*responseVector) {}),
		base("too large, with a message", func(v *responseVector) {
			v.Code, v.Message = "too_large", "value is 2.1 MiB, the limit is 1 MiB"
		}),
		base("overloaded, with a hint", func(v *responseVector) {
			v.Code, v.Message, v.RetryAfterMS = "overloaded", "too many requests", 10
		}),
		base("not ready", func(v *responseVector) { v.Code, v.ID = "not_ready", 0xffffffff }),
		base("list: a page", func(v *responseVector) {
			v.More = true
			v.Entries = []entryVector{
				{octets("a/b"), octets("1"), testVersion[:], 0},
				{octets("a/c"), octets{}, testVersion[:], 1_700_000_060_000},
			}
		}),
		base("list: nothing", func(*responseVector) {}),
		base("members", func(v *responseVector) { b, err := EncodeInfo(members); info(v, b, err, members) }),
		base("status", func(v *responseVector) { b, err := EncodeInfo(status); info(v, b, err, status) }),
		base("sync", func(v *responseVector) { b, err := EncodeInfo(syncs); info(v, b, err, syncs) }),
		base("extension", func(v *responseVector) { v.Ext = octets{9} }),
		base("status: purging is held up", func(v *responseVector) { b, err := EncodeInfo(heldUp); info(v, b, err, heldUp) }),
		base("held", func(v *responseVector) { b, err := EncodeInfo(holding); info(v, b, err, holding) }),
		base("why", func(v *responseVector) { b, err := EncodeInfo(holdings); info(v, b, err, holdings) }),
		base("forget", func(v *responseVector) { b, err := EncodeInfo(forgotten); info(v, b, err, forgotten) }),
		base("put, delete: the key is at another version", func(v *responseVector) {
			v.Code, v.Message = "condition_failed", "the key is there at version 018bcfe568000007deadbeef00000001"
			v.Version, v.ExpiresAt, v.Value = testVersion[:], 1_700_000_060_000, value("value")
		}),
		base("put, delete: the key is absent", func(v *responseVector) { v.Code = "condition_failed" }),
		base("batch: done", func(v *responseVector) { v.Results = []resultVector{{testVersion[:], false}, {testVersion[:], true}} }),
		base("batch: the second item's condition failed", func(v *responseVector) {
			v.Code, v.Message, v.Item = "condition_failed", "item 2 of 3: the key is there", 2
			v.Version, v.Value = testVersion[:], value("value")
		}),
		base("put: three of five members hold it", func(v *responseVector) { v.Version, v.Holders, v.Members = testVersion[:], 3, 5 }),
		base("put: written, and its concern missed", func(v *responseVector) {
			v.Code, v.Message = "timeout", "written; 1 of 3 members are known to hold it, quorum needs 2: whether others do is not known"
			v.Version, v.Holders, v.Members = testVersion[:], 1, 3
		}),
		base("status: a limit on memory, and who is full", func(v *responseVector) { b, err := EncodeInfo(full); info(v, b, err, full) }),
	}
}

func TestRequestsMatchTheirVectors(t *testing.T) {
	want := requestVectors()
	for i := range want {
		r := want[i].message(t)
		require.NoError(t, r.Check(), want[i].Name)
		want[i].Frame = mux.AppendFrame(nil, want[i].ID, byte(r.Op), &r)
	}
	for i, v := range vectorsFile(t, "requests.json", want) {
		t.Run(v.Name, func(t *testing.T) {
			require.Equal(t, want[i].Frame, v.Frame)
			sent := v.message(t)
			var got Request
			f := frameOf(t, v.Frame)
			require.Equal(t, v.ID, f.ID)
			require.NoError(t, got.Parse(Op(f.Kind), f.Body))
			require.Equal(t, f.Body, got.AppendTo(nil))
			require.Equal(t, len(f.Body), got.HeadSize()+len(got.Tail()))
			requireSame(t, sent, got)
			refusesOthers(t, f.Body, func(b []byte) error { return new(Request).Parse(Op(f.Kind), b) })
		})
	}
}

func TestResponsesMatchTheirVectors(t *testing.T) {
	want := responseVectors(t)
	for i := range want {
		r := want[i].message(t)
		require.NoError(t, r.Check(), want[i].Name)
		want[i].Frame = mux.AppendFrame(nil, want[i].ID, KindResponse, &r)
	}
	for i, v := range vectorsFile(t, "responses.json", want) {
		t.Run(v.Name, func(t *testing.T) {
			require.Equal(t, want[i].Frame, v.Frame)
			sent := v.message(t)
			var got Response
			f := frameOf(t, v.Frame)
			require.Equal(t, v.ID, f.ID)
			require.Equal(t, byte(KindResponse), f.Kind)
			require.NoError(t, got.Parse(f.Body))
			require.Equal(t, f.Body, got.AppendTo(nil))
			require.Equal(t, len(f.Body), got.HeadSize()+len(got.Tail()))
			requireSame(t, sent, got)
			refusesOthers(t, f.Body, func(b []byte) error { return new(Response).Parse(b) })
		})
	}
}

func frameOf(t *testing.T, b []byte) mux.Frame {
	r := mux.NewReader(strings.NewReader(string(b)), MaxFrame)
	f, err := r.Next()
	require.NoError(t, err)
	return f
}

// requireSame compares messages; absent and empty bytes are the same, except
// for a response's value.
func requireSame(t *testing.T, want, got any) {
	t.Helper()
	text := func(v any) string {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		return strings.NewReplacer(`:null`, `:""`, `:[]`, `:""`).Replace(string(b))
	}
	require.JSONEq(t, text(want), text(got))
}

// refusesOthers checks that no truncation and no longer message is accepted.
func refusesOthers(t *testing.T, body []byte, parse func([]byte) error) {
	for n := range body {
		require.ErrorIs(t, parse(body[:n]), ErrMalformed, "%d of %d bytes", n, len(body))
	}
	err := parse(append(body[:len(body):len(body)], 0))
	require.ErrorIs(t, err, ErrMalformed)
	require.ErrorContains(t, err, "has 1 bytes too many")
}

type malformedVector struct {
	Name  string `json:"name"`
	Kind  byte   `json:"kind"`
	Body  octets `json:"body"`
	Error string `json:"error"` // malformed or unsupported
}

// malformedVectors are built by damaging sound messages.
func malformedVectors(t *testing.T) []malformedVector {
	const at = requestFixed - 4 // of the flags
	request := func(name, want string, r Request, damage func([]byte) []byte) malformedVector {
		b := r.AppendTo(nil)
		if damage != nil {
			b = damage(b)
		}
		return malformedVector{name, byte(r.Op), b, want}
	}
	response := func(name, want string, r Response, damage func([]byte) []byte) malformedVector {
		b := r.AppendTo(nil)
		if damage != nil {
			b = damage(b)
		}
		return malformedVector{name, KindResponse, b, want}
	}
	set := func(at int, with ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], with); return b }
	}
	key := []byte("k")
	return []malformedVector{
		request("empty body", "malformed", Request{Op: OpGet}, func([]byte) []byte { return nil }),
		{"operation 0", 0, nil, "unsupported"},
		{"operation 14", 14, nil, "unsupported"},
		{"watch has no meaning yet", byte(OpWatch), nil, "unsupported"},
		request("unknown flag", "unsupported", Request{Op: OpGet, Key: key}, set(at, 0x40, 0)),
		request("key is longer than the body", "malformed", Request{Op: OpGet, Key: key}, set(at+2, 0xff, 0xff)),
		request("get with a value", "malformed", Request{Op: OpGet, Key: key}, func(b []byte) []byte { return append(b, 0, 0, 0, 1, 'v') }),
		request("get with a TTL", "malformed", Request{Op: OpGet, Key: key, TTL: time.Second}, nil),
		request("put with a limit", "malformed", Request{Op: OpPut, Key: key, Limit: 1}, nil),
		request("put with TTL and expiry", "malformed", Request{Op: OpPut, Key: key, TTL: 1, ExpiresAt: 1}, nil),
		request("touch that keeps the TTL", "malformed", Request{Op: OpTouch, Key: key, KeepTTL: true}, nil),
		request("ping with a key", "malformed", Request{Op: OpPing}, func(b []byte) []byte { return append(set(at+2, 0, 1)(b), 'k') }),
		request("TTL of zero", "malformed", Request{Op: OpPut, Key: key, TTL: 1}, set(requestFixed+1, make([]byte, 8)...)),
		request("TTL out of range", "malformed", Request{Op: OpPut, Key: key, TTL: 1}, set(requestFixed+1, 0xff)),
		request("expiry out of range", "malformed", Request{Op: OpPut, Key: key, ExpiresAt: 1}, set(requestFixed+1, 0x80)),
		request("limit of zero", "malformed", Request{Op: OpList, Limit: 1}, set(requestFixed, 0, 0, 0, 0)),
		request("empty continuation key", "malformed", Request{Op: OpList, After: key}, set(requestFixed, 0, 0)),
		request("extension too long", "malformed", Request{Op: OpGet, Key: key, Ext: make([]byte, MaxExt+1)}, nil),
		request("value is longer than the body", "malformed", Request{Op: OpPut, Key: key}, set(requestFixed+1, 0xff, 0xff, 0xff, 0xff)),
		response("unknown flag", "unsupported", Response{}, set(9, 0x40)),
		response("empty message", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 0, 1)(b), 0, 0) }),
		response("message too long", "malformed", Response{}, func(b []byte) []byte {
			return append(append(set(9, 0, 1)(b), 4, 1), make([]byte, MaxMessage+1)...)
		}),
		response("hint of zero", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 0, 2)(b), 0, 0, 0, 0) }),
		response("version of zero", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 0, 4)(b), make([]byte, 16)...) }),
		response("no entries", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 0, 0x20)(b), 0, 0, 0, 0) }),
		response("more entries than fit", "malformed", Response{}, func(b []byte) []byte {
			return append(append(set(9, 0, 0x20)(b), 0, 0, 0, 2), make([]byte, entryFixed)...)
		}),
		response("more entries than allowed", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 0, 0x20)(b), 0, 1, 0, 1) }),
		request("put if absent and at a version", "malformed", Request{Op: OpPut, Key: key, IfAbsent: true, IfVersion: testVersion}, nil),
		request("get if absent", "malformed", Request{Op: OpGet, Key: key, IfAbsent: true}, nil),
		request("a demanded version of zero", "malformed", Request{Op: OpDelete, Key: key, IfVersion: testVersion}, set(requestFixed+1, make([]byte, 16)...)),
		request("a concern that is none", "malformed", Request{Op: OpPut, Key: key, Concern: ConcernAll}, set(requestFixed+1, 4)),
		request("a concern that is local, which has no flag", "malformed", Request{Op: OpPut, Key: key, Concern: ConcernAll}, set(requestFixed+1, 0)),
		request("touch with a concern", "malformed", Request{Op: OpTouch, Key: key, TTL: time.Second, Concern: ConcernOne}, nil),
		response("more holders than members", "malformed", Response{Holders: 1, Members: 1}, set(responseFixed, 0, 2, 0, 1)),
		response("no holder", "malformed", Response{Holders: 1, Members: 1}, set(responseFixed, 0, 0, 0, 1)),
		request("batch of nothing", "malformed", Request{Op: OpBatch}, nil),
		request("batch of more items than fit", "malformed", Request{Op: OpBatch, Items: []Request{{Op: OpDelete, Key: key}}}, set(requestFixed, 0, 0, 0, 9)),
		request("batch with a get", "malformed", Request{Op: OpBatch, Items: []Request{{Op: OpDelete, Key: key}}}, set(requestFixed+4, byte(OpGet))),
		request("batch with a flag of an item that is unknown", "unsupported", Request{Op: OpBatch, Items: []Request{{Op: OpDelete, Key: key}}}, set(requestFixed+5, 0x40)),
		request("put with items", "malformed", Request{Op: OpPut, Key: key}, func(b []byte) []byte { return append(b, 0, 0, 0, 1, 4, 0, 0, 0, 0) }),
		response("no results", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 2, 0)(b), 0, 0, 0, 0) }),
		response("existed is 2", "malformed", Response{}, func(b []byte) []byte {
			return append(append(set(9, 2, 0)(b), 0, 0, 0, 1), append(make([]byte, 16), 2)...)
		}),
		response("item of zero", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 4, 0)(b), 0, 0, 0, 0) }),
		response("empty CBOR", "malformed", Response{}, func(b []byte) []byte { return append(set(9, 0, 0x80)(b), 0, 0, 0, 0) }),
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	want := malformedVectors(t)
	for i, v := range vectorsFile(t, "malformed.json", want) {
		t.Run(v.Name, func(t *testing.T) {
			require.Equal(t, append(octets{}, want[i].Body...), append(octets{}, v.Body...))
			var err error
			if v.Kind == KindResponse {
				err = new(Response).Parse(v.Body)
			} else {
				err = new(Request).Parse(Op(v.Kind), v.Body)
			}
			require.Equal(t, v.Error == "malformed", errors.Is(err, ErrMalformed), "%v", err)
			require.Equal(t, v.Error == "unsupported", errors.Is(err, ErrUnsupported), "%v", err)
		})
	}
}

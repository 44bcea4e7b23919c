package gokv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/engine"
)

// pageBytes bounds a page of a listing: keys and values together.
const pageBytes = 1 << 20

// pageEntries bounds the entries that a page is cut from.
const pageEntries = 1024

// engineCodes ties the engine's errors to the codes that clients get.
var engineCodes = []struct {
	err  error
	code wire.Code
}{
	{engine.ErrNotFound, wire.CodeNotFound},
	{engine.ErrKeyEmpty, wire.CodeInvalid},
	{engine.ErrInvalidTTL, wire.CodeInvalid},
	{engine.ErrKeyTooLarge, wire.CodeTooLarge},
	{engine.ErrValueTooLarge, wire.CodeTooLarge},
	{engine.ErrInvalidBatch, wire.CodeInvalid},
	{engine.ErrBatchTooLarge, wire.CodeTooLarge},
	{engine.ErrConditionFailed, wire.CodeConditionFailed},
	{engine.ErrInvalidCondition, wire.CodeInvalid},
	{engine.ErrOverloaded, wire.CodeOverloaded},
	{engine.ErrClockAhead, wire.CodeClock},
	{context.DeadlineExceeded, wire.CodeTimeout},
	{context.Canceled, wire.CodeTimeout},
}

func codeOf(err error) wire.Code {
	for _, row := range engineCodes {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return wire.CodeInternal
}

// server answers clients' requests: it is the [client.Handler] of a node.
type server struct{ node *Node }

// HandleImmediate answers the operations that wait for nothing but a short
// lock; the others get a goroutine of their own.
func (s server) HandleImmediate(ctx context.Context, req *wire.Request, resp *wire.Response) bool {
	switch req.Op {
	case wire.OpGet, wire.OpExists, wire.OpPut, wire.OpDelete, wire.OpTouch, wire.OpPersist, wire.OpPing,
		wire.OpHeld:
		if req.Concern != wire.ConcernLocal {
			return false
		}
		s.Handle(ctx, req, resp)
		return true
	}
	return false
}

// Handle answers one request. It may be called from many goroutines.
func (s server) Handle(ctx context.Context, req *wire.Request, resp *wire.Response) {
	begin := time.Now()
	if m := &s.node.memory; m.limit > 0 {
		n := requestBytes(req)
		m.frames.Add(n)
		defer m.frames.Add(-n)
	}
	if err := s.answer(ctx, req, resp); err != nil {
		refuse(resp, err)
	}
	resp.Clock = s.node.engine.Clock().Read()
	s.node.metrics.request(req.Op, resp.Code, time.Since(begin))
}

// answer does what a request asks for, and waits for what its concern demands.
func (s server) answer(ctx context.Context, req *wire.Request, resp *wire.Response) error {
	var w *concern
	if req.Concern != wire.ConcernLocal {
		w = new(concern)
	}
	if err := s.admitted(ctx, req, resp, w); err != nil || w == nil {
		return err
	}
	return s.node.await(ctx, w, req, resp)
}

// admitted does what a request asks for. Stop waits for writes in it, and not for what
// a concern demands.
func (s server) admitted(ctx context.Context, req *wire.Request, resp *wire.Response, w *concern) error {
	if req.Op.Writes() {
		s.node.writes.RLock()
		defer s.node.writes.RUnlock()
	}
	if err := s.admit(req); err != nil {
		return err
	}
	return s.dispatch(ctx, req, resp, w)
}

// refusal is an error with a code of its own.
type refusal struct {
	code wire.Code
	text string
}

func (r refusal) Error() string { return r.text }

func refuse(resp *wire.Response, err error) {
	var r refusal
	if errors.As(err, &r) {
		resp.Fail(r.code, r.text)
	} else {
		resp.Fail(codeOf(err), err.Error())
	}
	if b, ok := errors.AsType[*engine.BatchError](err); ok {
		resp.Item = uint32(b.Item)
	}
	if c, ok := errors.AsType[*concernError](err); ok {
		resp.Version = c.version
		tellHolders(resp, c.holders, c.members)
	}
	if c, ok := errors.AsType[*engine.ConditionError](err); ok && c.Current != nil {
		resp.Version, resp.ExpiresAt, resp.Value = c.Current.Version.Bytes(), c.Current.ExpiresAt, c.Current.Value
	}
}

// admit decides whether the node takes the request at all, and takes the
// session's clock in, so that what the request writes beats all that the
// session has seen.
func (s server) admit(req *wire.Request) error {
	switch req.Op {
	case wire.OpPing, wire.OpMembers, wire.OpStatus, wire.OpHeld, wire.OpWhy:
	default:
		if err := s.node.admits(); err != nil {
			return err
		}
	}
	if req.Op.Writes() {
		if err := s.node.admitsWrites(); err != nil {
			return err
		}
	}
	if req.Clock == 0 {
		return nil
	}
	if err := s.node.engine.Clock().Observe(s.node.nowMS(), req.Clock); err != nil {
		return fmt.Errorf("the session's clock: %w", err)
	}
	return nil
}

func (s server) dispatch(ctx context.Context, req *wire.Request, resp *wire.Response, w *concern) error {
	switch req.Op {
	case wire.OpGet:
		return s.get(req, resp)
	case wire.OpExists:
		return s.exists(req, resp)
	case wire.OpPut:
		return s.write(resp, w, func(now int64) (engine.Entry, error) {
			return s.node.engine.Put(now, string(req.Key), req.Value, putOptions(req))
		})
	case wire.OpDelete:
		return s.write(resp, w, func(now int64) (e engine.Entry, err error) {
			e, resp.Existed, err = s.node.engine.DeleteIf(now, string(req.Key), conditionOf(req))
			return e, err
		})
	case wire.OpTouch:
		return s.write(resp, nil, func(now int64) (engine.Entry, error) {
			return s.node.engine.Touch(now, string(req.Key), putOptions(req))
		})
	case wire.OpPersist:
		return s.write(resp, nil, func(now int64) (engine.Entry, error) {
			return s.node.engine.Persist(now, string(req.Key))
		})
	case wire.OpList:
		return s.list(req, resp)
	case wire.OpMembers:
		return encodeBody(resp, s.node.memberInfos())
	case wire.OpStatus:
		return encodeBody(resp, s.node.Status())
	case wire.OpSync:
		infos, err := s.node.Sync(ctx)
		if err != nil {
			return err
		}
		return encodeBody(resp, infos)
	case wire.OpPing:
		return nil
	case wire.OpHeld:
		return encodeKeyInfo(req, resp, s.node.held)
	case wire.OpWhy:
		return encodeKeyInfo(req, resp, func(key string) []wire.HoldingInfo { return s.node.why(ctx, key) })
	case wire.OpForget:
		infos, err := s.node.forget(ctx, string(req.Key))
		if err != nil {
			return err
		}
		return encodeBody(resp, infos)
	case wire.OpBatch:
		return s.batch(req, resp)
	}
	return refusal{wire.CodeUnsupported, fmt.Sprintf("operation %d is not known here", req.Op)}
}

func putOptions(req *wire.Request) engine.PutOptions {
	return engine.PutOptions{TTL: req.TTL, ExpiresAt: req.ExpiresAt, KeepTTL: req.KeepTTL, If: conditionOf(req)}
}

func conditionOf(req *wire.Request) engine.Condition {
	c := engine.Condition{Absent: req.IfAbsent}
	if req.IfVersion != [16]byte{} {
		c.Version = engine.VersionFrom(req.IfVersion)
	}
	return c
}

func (s server) get(req *wire.Request, resp *wire.Response) error {
	e, err := s.node.engine.Get(s.node.nowMS(), string(req.Key), nil)
	if err != nil {
		return err
	}
	resp.Version = e.Version.Bytes()
	resp.ExpiresAt = e.ExpiresAt
	resp.Value = e.Value
	return nil
}

func (s server) exists(req *wire.Request, resp *wire.Response) error {
	_, _, err := s.node.engine.Head(s.node.nowMS(), string(req.Key))
	if errors.Is(err, engine.ErrNotFound) {
		return nil
	}
	resp.Existed = err == nil
	return err
}

// staleTries is how often a write is tried whose wall time has grown old
// between its reading and the version's.
const staleTries = 3

// write applies a local write, hands it to replication and tells the client
// its version. w, if not nil, begins to wait for others to hold it.
func (s server) write(resp *wire.Response, w *concern, apply func(now int64) (engine.Entry, error)) error {
	var e engine.Entry
	err := s.atFreshTime(func(now int64) (err error) {
		e, err = apply(now)
		return err
	})
	if err != nil {
		return err
	}
	if w != nil {
		s.node.concerns.begin(w, &e)
	}
	s.node.replication.write(e)
	resp.Version = e.Version.Bytes()
	resp.ExpiresAt = e.ExpiresAt
	return nil
}

// batch does all of a batch's writes, or none.
func (s server) batch(req *wire.Request, resp *wire.Response) error {
	ops := make([]engine.BatchOp, len(req.Items))
	for i := range req.Items {
		it := &req.Items[i]
		ops[i] = engine.BatchOp{Key: string(it.Key), Value: it.Value, Delete: it.Op == wire.OpDelete, PutOptions: putOptions(it)}
	}
	var results []engine.BatchResult
	err := s.atFreshTime(func(now int64) (err error) {
		results, err = s.node.engine.Batch(now, ops)
		return err
	})
	if err != nil {
		return err
	}
	s.node.replication.writeBatch(results)
	resp.Results = make([]wire.Result, len(results))
	for i := range results {
		resp.Results[i] = wire.Result{Version: results[i].Entry.Version.Bytes(), Existed: results[i].Existed}
	}
	return nil
}

// atFreshTime runs a local write with the wall time.
func (s server) atFreshTime(apply func(now int64) error) error {
	now := s.node.nowMS()
	err := apply(now)
	// A goroutine that was put aside after it read the wall clock may come back
	// to versions that others took meanwhile, further ahead of that time than
	// the skew. That says nothing of the clocks: it is judged by a new reading.
	for try := 1; try < staleTries && errors.Is(err, engine.ErrClockAhead); try++ {
		later := s.node.nowMS()
		if later <= now {
			break
		}
		now = later
		err = apply(now)
	}
	if err != nil {
		// The engine names operation and key, as the client's error does; one
		// of them is enough.
		if inner := errors.Unwrap(err); inner != nil {
			return inner
		}
		return err
	}
	return nil
}

// list answers with one page: at most the limit, and at most pageBytes unless
// the first entry alone is larger.
func (s server) list(req *wire.Request, resp *wire.Response) error {
	limit := pageEntries
	if req.Limit > 0 && req.Limit < pageEntries {
		limit = int(req.Limit)
	}
	page, more := s.node.engine.List(s.node.nowMS(), engine.ListOptions{
		Prefix: string(req.Prefix), After: string(req.After), Limit: limit, MaxBytes: pageBytes, KeysOnly: req.KeysOnly,
	})
	for _, e := range page {
		resp.Entries = append(resp.Entries, wire.Entry{
			Key: []byte(e.Key), Version: e.Version.Bytes(), ExpiresAt: e.ExpiresAt, Value: e.Value,
		})
	}
	resp.More = more
	return nil
}

func encodeBody[T wire.Info](resp *wire.Response, v T) error {
	b, err := wire.EncodeInfo(v)
	if err != nil {
		return err
	}
	resp.Body = b
	return nil
}

// encodeKeyInfo answers with what is told of the request's key.
func encodeKeyInfo[T wire.Info](req *wire.Request, resp *wire.Response, tell func(key string) T) error {
	if err := engine.CheckKey(string(req.Key)); err != nil {
		return err
	}
	return encodeBody(resp, tell(string(req.Key)))
}

package client

import (
	"context"
	"fmt"

	"github.com/tochemey/gokv/client/wire"
)

// BatchOp is one write of a Batch: PutOp or DeleteOp makes it.
type BatchOp struct {
	req wire.Request
	err error
}

// PutOp is what Put does, as part of a Batch. The value must not change before
// Batch returns.
func PutOp(key string, value []byte, options ...PutOption) BatchOp {
	o := BatchOp{req: wire.Request{Op: wire.OpPut, Key: []byte(key), Value: value}}
	for _, option := range options {
		if o.err == nil {
			o.err = option.applyPut(&o.req)
		}
	}
	return o
}

// DeleteOp is what Delete does, as part of a Batch.
func DeleteOp(key string, options ...DeleteOption) BatchOp {
	o := BatchOp{req: wire.Request{Op: wire.OpDelete, Key: []byte(key)}}
	for _, option := range options {
		if o.err == nil {
			o.err = option.applyDelete(&o.req)
		}
	}
	return o
}

// Result is what became of one write of a Batch.
type Result struct {
	Version Version
	Existed bool // the key had an entry
}

// Batch does all of the given writes, or none, on the node that answers: whoever
// reads or lists there sees none of them or all. Their conditions are judged
// together. To the other nodes they go together too, but are merged one by one, and
// each may lose against another write of its key: it is no transaction over the
// cluster. Each key may stand once; wire.MaxBatchItems writes are the most, and
// wire.MaxBatchBytes of keys and values.
//
// Results are in the order of the writes. The error names the write that it failed
// for, if it was one: Error.Item. A batch without conditions is repeated like a
// put.
func (c *Client) Batch(ctx context.Context, ops ...BatchOp) ([]Result, error) {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: wire.OpBatch, Items: make([]wire.Request, len(ops))}
	bytes := 0
	for i := range ops {
		err := ops[i].err
		if err == nil {
			err = checkCall(&ops[i].req)
		}
		if err != nil {
			return nil, batchError(ops, i+1, err)
		}
		x.req.Items[i] = ops[i].req
		bytes += len(ops[i].req.Key) + len(ops[i].req.Value)
	}
	switch {
	case len(ops) == 0:
		return nil, fail(&x.req, invalid("no items, at least one is needed"))
	case len(ops) > wire.MaxBatchItems:
		return nil, fail(&x.req, fmt.Errorf("%d items, the limit is %d: %w", len(ops), wire.MaxBatchItems, ErrTooLarge))
	case bytes > wire.MaxBatchBytes:
		return nil, fail(&x.req, fmt.Errorf("keys and values are %d bytes, the limit is %d: %w", bytes, wire.MaxBatchBytes, ErrTooLarge))
	}
	if err := c.do(ctx, x); err != nil {
		return nil, err
	}
	if len(x.resp.Results) != len(ops) {
		return nil, fail(&x.req, fmt.Errorf("the node sent %d results for %d items: %w", len(x.resp.Results), len(ops), ErrInternal))
	}
	results := make([]Result, len(ops))
	for i, r := range x.resp.Results {
		results[i] = Result{Version: r.Version, Existed: r.Existed}
	}
	return results, nil
}

// batchError is the error of an item, from 1 on, that no node was asked about.
func batchError(ops []BatchOp, item int, err error) error {
	req := &ops[item-1].req
	text := fmt.Sprintf("item %d of %d: %v %q: %v", item, len(ops), req.Op, shorten(string(req.Key)), err)
	return &Error{Op: wire.OpBatch, Key: string(req.Key), Item: item, Code: CodeOf(err), Message: text, Cause: err}
}

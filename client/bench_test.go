package client

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
)

// benchNode answers every get with one value, at once.
type benchNode struct{ value []byte }

func (n benchNode) Handle(_ context.Context, req *wire.Request, resp *wire.Response) {
	if req.Op == wire.OpGet {
		resp.Value, resp.Version = n.value, [16]byte{1}
	}
}

func (n benchNode) HandleImmediate(ctx context.Context, req *wire.Request, resp *wire.Response) bool {
	n.Handle(ctx, req, resp)
	return true
}

// BenchmarkCalls measures gets and puts, client and node in one process.
func BenchmarkCalls(b *testing.B) {
	for _, scheme := range []string{schemeTLS, schemeQUIC, "local"} {
		for _, callers := range []int{1, 50, 256} {
			for _, size := range []int{100, 10 << 10} {
				for _, op := range []string{"get", "put"} {
					b.Run(fmt.Sprintf("over=%s/callers=%d/size=%d/%s", scheme, callers, size, op), func(b *testing.B) {
						node := benchNode{make([]byte, size)}
						c := Local(node)
						if scheme != "local" {
							c = dial(b, nil, scheme+"://"+start(b, newFakeStore(), onBoth, func(s *server) { s.handler = node }).addr)
						}
						call := func() error { return c.Put(context.Background(), "services/api", node.value) }
						if op == "get" {
							call = func() error { _, err := c.Get(context.Background(), "services/api"); return err }
						}
						require.NoError(b, call())
						b.ReportAllocs()
						if callers == 1 {
							for b.Loop() {
								if err := call(); err != nil {
									b.Fatal(err)
								}
							}
							return
						}
						b.SetParallelism(max(1, callers/2))
						b.RunParallel(func(pb *testing.PB) {
							for pb.Next() {
								if err := call(); err != nil {
									b.Error(err)
									return
								}
							}
						})
					})
				}
			}
		}
	}
}

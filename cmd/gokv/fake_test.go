package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/auth"
)

// fakeNode is a node without a cluster, for what a real one cannot be made to
// answer on demand: each code, and a put that waits.
type fakeNode struct {
	// refuse, if set, decides about a request before it is served.
	refuse func(*wire.Request) (wire.Code, string)
	page   int // entries a page; 0: 100
	// held, if set, is what the node says that it holds of a key, whatever it
	// lists; else what it lists is live.
	held func(key string) client.Holding

	digest string

	mu      sync.Mutex
	clock   uint64
	entries map[string]client.Entry
	puts    []string // keys in the order of their puts
}

func newFakeNode() *fakeNode { return &fakeNode{entries: map[string]client.Entry{}} }

func (f *fakeNode) Handle(_ context.Context, req *wire.Request, resp *wire.Response) {
	if f.refuse != nil {
		if resp.Code, resp.Message = f.refuse(req); resp.Code != wire.CodeOK {
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := string(req.Key)
	e, found := f.entries[key]
	switch req.Op {
	case wire.OpPut:
		f.puts = append(f.puts, key)
		f.store(req)
	case wire.OpGet:
		if !found {
			resp.Code = wire.CodeNotFound
			return
		}
		resp.Value, resp.Version = e.Value, e.Version
	case wire.OpExists:
		resp.Existed = found
	case wire.OpDelete:
		delete(f.entries, key)
	case wire.OpList:
		f.list(req, resp)
	case wire.OpPing:
	case wire.OpStatus:
		resp.Body, _ = wire.EncodeInfo(wire.StatusInfo{RootDigest: f.digest})
	case wire.OpHeld:
		h := client.Holding{State: "unknown"}
		switch {
		case f.held != nil:
			h = f.held(key)
		case found:
			h = client.Holding{State: "live", Version: e.Version.String()}
		}
		resp.Body, _ = wire.EncodeInfo(h)
	default:
		resp.Code = wire.CodeUnsupported
	}
}

func (f *fakeNode) store(req *wire.Request) {
	f.clock++
	e := client.Entry{Key: string(req.Key), Value: bytes.Clone(req.Value)}
	e.Version[7] = byte(f.clock)
	e.Version[6] = byte(f.clock >> 8)
	if req.ExpiresAt != 0 {
		e.ExpiresAt = time.UnixMilli(req.ExpiresAt).UTC()
	}
	f.entries[e.Key] = e
}

func (f *fakeNode) list(req *wire.Request, resp *wire.Response) {
	page := f.page
	if page == 0 {
		page = 100
	}
	for _, key := range slices.Sorted(maps.Keys(f.entries)) {
		if key <= string(req.After) || !strings.HasPrefix(key, string(req.Prefix)) {
			continue
		}
		if len(resp.Entries) == page || req.Limit > 0 && len(resp.Entries) == int(req.Limit) {
			resp.More = true
			return
		}
		e := f.entries[key]
		out := wire.Entry{Key: []byte(key), Value: e.Value, Version: e.Version}
		if !e.ExpiresAt.IsZero() {
			out.ExpiresAt = e.ExpiresAt.UnixMilli()
		}
		resp.Entries = append(resp.Entries, out)
	}
}

// fakeServer serves a fakeNode over TLS.
type fakeServer struct {
	auth  *auth.Authenticator
	node  *fakeNode
	group sync.WaitGroup
}

func (s *fakeServer) accept(ctx context.Context, plain net.Listener) {
	for {
		c, err := plain.Accept()
		if err != nil {
			return
		}
		s.group.Go(func() {
			conn := tls.Server(c, s.auth.ServerTLS(auth.ALPNClient))
			defer conn.Close()
			if err := conn.HandshakeContext(ctx); err != nil {
				return
			}
			if _, _, err := s.auth.Accept(ctx, conn, conn.ConnectionState(), []auth.Role{auth.RoleAdmin}, auth.Hello{}); err != nil {
				return
			}
			_ = client.ServeStream(ctx, conn, s.node, client.Limits{}) // a broken client is its own affair
		})
	}
}

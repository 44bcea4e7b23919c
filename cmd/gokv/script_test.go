package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/auth"
)

// process is the name under which a test runs the command as a process.
const process = "gokv-process"

// The scripts run the command in this process, which is fast and counts as
// covered, against nodes that are there too; `exec gokv-process` has the command
// as a process. Besides testscript's commands there are:
//
//	gokv ARGS [<FILE]          the command, which shall exit 0
//	exits STATUS ARGS [<FILE]  the command, which shall exit STATUS
//	node NAME [join=NAME] [secret=FILE] [tls=DIR] [apart=yes]
//	                           start a node; $NAME is its client address; apart
//	                           is of a cluster of its own
//	leave NAME                 stop a node; the others know that it left
//	fake NAME                  a node that answers put code/CODE with CODE
//	certs DIR                  a CA and a certificate: ca.pem, cert.pem, key.pem
//	noversion FILE NEW         FILE without its versions
//	cut FILE BYTES NEW         the first bytes of FILE
//	expiring FILE              an entry that lives and one that has expired
//
// GOKV_ADDR is NOBODY, where none listens, until the first node is started;
// LONGKEY is a key over the limit.

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){process: main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOKV_ADDR", nobody)
			env.Setenv("NOBODY", nobody)
			env.Setenv("LONGKEY", strings.Repeat("k", wire.MaxKeySize+4))
			env.Values[nodesKey{}] = map[string]*gokv.Node{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"leave": scriptLeave, "node": scriptNode, "fake": scriptFake, "noversion": scriptNoVersion, "cut": scriptCut, "expiring": scriptExpiring, "certs": scriptCerts,
			"gokv": scriptGokv, "exits": scriptExits,
		},
	})
}

// nobody is an address of loopback on which nothing listens: a privileged port
// that is assigned to nothing in use.
const nobody = "127.0.0.1:1"

type nodesKey struct{}

func scriptNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: node NAME [join=NAME] [secret=FILE] [tls=DIR] [apart=yes]")
	}
	nodes := ts.Value(nodesKey{}).(map[string]*gokv.Node)
	apart := false
	cfg := gokv.Config{
		Name: args[0], PeerAddr: "127.0.0.1:0", ClientAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	}
	for _, arg := range args[1:] {
		switch name, value, _ := strings.Cut(arg, "="); name {
		case "join":
			cfg.Join = []string{nodes[value].Addrs().Peer}
		case "apart":
			apart = value == "yes"
		case "tls":
			dir := ts.MkAbs(value)
			cfg.TLSCA, cfg.TLSCert, cfg.TLSKey = dir+"/ca.pem", dir+"/cert.pem", dir+"/key.pem"
		case "secret":
			cfg.SecretFile = ts.MkAbs(value)
		default:
			ts.Fatalf("node: what is %q?", arg)
		}
	}
	node, err := gokv.NewNode(cfg)
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ts.Check(node.Start(ctx))
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := node.Stop(ctx); err != nil {
			ts.Logf("stop %s: %v", args[0], err)
		}
	})
	if apart {
		nodes = map[string]*gokv.Node{}
	}
	nodes[args[0]] = node
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !settled(nodes) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("node %s does not become ready", args[0])
		}
	}
	ts.Setenv(args[0], node.Addrs().Client)
	if len(nodes) == 1 && !apart {
		ts.Setenv("GOKV_ADDR", node.Addrs().Client)
	}
}

func scriptLeave(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: leave NAME")
	}
	nodes := ts.Value(nodesKey{}).(map[string]*gokv.Node)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ts.Check(nodes[args[0]].Stop(ctx))
	delete(nodes, args[0])
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !hasLeft(nodes, args[0]) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("the others do not hear that %s leaves", args[0])
		}
	}
}

// hasLeft says that every node knows that one has left.
func hasLeft(nodes map[string]*gokv.Node, name string) bool {
	for _, n := range nodes {
		for _, m := range n.Members() {
			if m.Name == name && m.State != "left" {
				return false
			}
		}
	}
	return true
}

// settled says that every node is ready and knows all.
func settled(nodes map[string]*gokv.Node) bool {
	for _, n := range nodes {
		if !n.Ready() || len(n.Members()) != len(nodes) {
			return false
		}
	}
	return true
}

func scriptFake(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fake NAME")
	}
	f := newFakeNode()
	f.refuse = func(r *wire.Request) (wire.Code, string) {
		for _, code := range wire.Codes() {
			if string(r.Key) == "code/"+code.String() {
				return code, "because"
			}
		}
		if r.Op == wire.OpList && string(r.After) >= "k1" {
			return wire.CodeInternal, "the second page is lost"
		}
		return wire.CodeOK, ""
	}
	f.page = 2
	addr, stop, err := serveFake(f)
	ts.Check(err)
	ts.Defer(stop)
	ts.Setenv(args[0], addr)
}

// serveFake serves f to clients over TLS on loopback.
func serveFake(f *fakeNode) (addr string, stop func(), err error) {
	a, err := auth.New(auth.Config{Cluster: "fake", Instance: 1})
	if err != nil {
		return "", nil, err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &fakeServer{auth: a, node: f}
	s.group.Go(func() { s.accept(ctx, plain) })
	return "tls://" + plain.Addr().String(), func() {
		cancel()
		_ = plain.Close() // ends accept; its error says only that it is closed
		s.group.Wait()
	}, nil
}

func scriptNoVersion(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: noversion FILE NEW")
	}
	version := regexp.MustCompile(`,"version":"[0-9a-f]{32}"`)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(version.ReplaceAllString(ts.ReadFile(args[0]), "")), 0o600))
}

func scriptCut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: cut FILE BYTES NEW")
	}
	var n int
	_, err := fmt.Sscan(args[1], &n)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(ts.ReadFile(args[0])[:n]), 0o600))
}

func scriptExpiring(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expiring FILE")
	}
	text := fmt.Sprintf("{\"key\":\"lives\",\"text\":\"v\",\"expires_at\":\"%s\"}\n{\"key\":\"expired\",\"text\":\"v\",\"expires_at\":\"%s\"}\n",
		formatTime(time.Now().Add(time.Hour)), formatTime(time.Now().Add(-time.Hour)))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func scriptGokv(ts *testscript.TestScript, neg bool, args []string) {
	scriptExits(ts, neg, append([]string{"0"}, args...))
}

// scriptExits runs gokv in this process and demands its exit status.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits STATUS ARGS [<FILE]")
	}
	want, args, stdin := args[0], args[1:], io.Reader(strings.NewReader(""))
	if n := len(args); n > 0 && strings.HasPrefix(args[n-1], "<") {
		stdin, args = strings.NewReader(ts.ReadFile(args[n-1][1:])), args[:n-1]
	}
	env := func(name string) (string, bool) { return ts.Getenv(name), ts.Getenv(name) != "" }
	got := run(context.Background(), args, stdin, ts.Stdout(), ts.Stderr(), env)
	if fmt.Sprint(got) != want {
		ts.Fatalf("gokv %s: exit status %d, want %s", strings.Join(args, " "), got, want)
	}
}

func TestTheErrorTableDecidesTheExitStatus(t *testing.T) {
	f := newFakeNode()
	for code, want := range map[wire.Code]int{
		wire.CodeNotFound: 1, wire.CodeConditionFailed: 1,
		wire.CodeInvalid: 2, wire.CodeUnsupported: 2,
		wire.CodeNotReady: 3, wire.CodeTimeout: 3, wire.CodeUnavailable: 3, wire.CodeInternal: 3,
		wire.CodeTooLarge: 4, wire.CodeOverloaded: 4, wire.CodeUnauthorized: 4, wire.CodeClock: 4, wire.CodeFenced: 4,
	} {
		f.refuse = func(*wire.Request) (wire.Code, string) { return code, "" }
		err := client.Local(f).Put(t.Context(), "k", nil)
		require.Equal(t, want, (&app{stderr: io.Discard}).finish(err), code)
	}
}

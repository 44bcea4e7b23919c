package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
)

// demoNode is a node of the demonstration and its client, in process.
type demoNode struct {
	name string
	node *gokv.Node
	kv   *client.Client
}

// startNode starts a node on one side of the network.
func (d *demo) startNode(ctx context.Context, name string, side int, secret string, join []string) error {
	conn, err := d.network.listen(side)
	if err != nil {
		return err
	}
	node, err := gokv.NewNode(gokv.Config{
		Name: name, Cluster: "demo", PeerConn: conn, Join: join,
		Secrets: []string{secret},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("node %s: %w", name, err), conn.Close())
	}
	if err := node.Start(ctx); err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	d.nodes = append(d.nodes, &demoNode{name: name, node: node, kv: node.Client()})
	return nil
}

// alive counts the members that the node sees alive, itself included.
func (n *demoNode) alive(ctx context.Context) int {
	members, err := n.kv.Members(ctx)
	if err != nil {
		return 0
	}
	alive := 0
	for _, m := range members {
		if m.State == "alive" {
			alive++
		}
	}
	return alive
}

// value is what the node has under key: the value and true, or false.
func (n *demoNode) value(ctx context.Context, key string) (string, bool, error) {
	e, err := n.kv.Get(ctx, key)
	if errors.Is(err, client.ErrNotFound) {
		return "", false, nil
	}
	return string(e.Value), err == nil, err
}

// export is the SHA-256 of what `gokv export` would print of the node, and the
// size of its entries as keys, values and versions.
func (n *demoNode) export(ctx context.Context) (sum string, size uint64, err error) {
	h := sha256.New()
	var line []byte
	for e, err := range n.kv.List(ctx) {
		if err != nil {
			return "", 0, err
		}
		line = appendEntry(line[:0], e)
		h.Write(line)
		size += entrySize(e.Key, e.Value)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

// entrySize is the least that an entry costs to send.
func entrySize(key string, value []byte) uint64 {
	return uint64(len(key) + len(value) + len(client.Version{}))
}

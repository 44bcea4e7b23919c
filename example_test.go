package gokv_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
)

// A program that embeds a node reads and writes through the node's client,
// without a socket in between.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	node, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	if err := node.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := node.Stop(ctx); err != nil {
			log.Fatal(err)
		}
	}()

	c := node.Client()
	if err := c.Put(ctx, "flags/dark-mode", []byte("on"), client.WithTTL(time.Minute)); err != nil {
		log.Fatal(err)
	}
	if err := c.Put(ctx, "flags/beta", []byte("off")); err != nil {
		log.Fatal(err)
	}
	e, err := c.Get(ctx, "flags/dark-mode")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("dark mode is %s\n", e.Value)

	for e, err := range c.List(ctx, client.WithPrefix("flags/")) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Key, string(e.Value))
	}
	if _, err := c.Get(ctx, "flags/none"); errors.Is(err, client.ErrNotFound) {
		fmt.Println("flags/none is not there")
	}
	// Output:
	// dark mode is on
	// flags/beta off
	// flags/dark-mode on
	// flags/none is not there
}

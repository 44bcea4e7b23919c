package main

import (
	"flag"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd runs an etcd of one member until it fails.
func runEtcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("dir", "etcd", "where the data is")
	socket := flags.String("socket", "etcd.sock", "where clients connect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: there are only flags", flags.Arg(0))
	}
	config := embed.NewConfig()
	config.Dir = *dir
	config.UnsafeNoFsync = true
	config.LogLevel = "warn"

	// It has no peers, and waits for none: the election is over in a tenth of a second.
	config.ListenPeerUrls = nil
	config.TickMs, config.ElectionMs = 10, 100

	clients := url.URL{Scheme: "unix", Host: *socket}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	return <-etcd.Err()
}

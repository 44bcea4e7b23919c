package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

const envAddr = "GOKV_ADDR"

// checkGlobals refuses global flags that no command could use.
func (a *app) checkGlobals() error {
	if a.format != formatTable && a.format != formatJSON {
		return misuse("--output is %q: %s or %s", a.format, formatTable, formatJSON)
	}
	if a.timeout < time.Millisecond {
		return misuse("--timeout is %v: at least 1ms", a.timeout)
	}
	return nil
}

// addrs are the nodes to talk to: the flag's, else the environment's, else the
// one on this host.
func (a *app) addrs(c *cobra.Command) ([]string, error) {
	list, from := a.addr, "--addr"
	if !c.Flags().Changed("addr") {
		list, from = client.DefaultAddr, ""
		if env, ok := a.env(envAddr); ok && env != "" {
			list, from = env, envAddr
		}
	}
	addrs := strings.Split(list, ",")
	for i, addr := range addrs {
		if addrs[i] = strings.TrimSpace(addr); addrs[i] == "" {
			return nil, misuse("%s is %q: an address is empty", from, list)
		}
	}
	return addrs, nil
}

// patience is how long a command tries nodes that do not answer.
type patience int

const (
	// once goes through the addresses a single time: somebody waits for the answer.
	once patience = 1
	// patient goes on until --timeout: what has begun shall survive a node's end.
	patient patience = 0
)

func (a *app) connect(c *cobra.Command, p patience) (*client.Client, error) {
	addrs, err := a.addrs(c)
	if err != nil {
		return nil, err
	}
	return a.connectTo(addrs, p)
}

func (a *app) connectTo(addrs []string, p patience) (*client.Client, error) {
	cl, err := client.New(client.Config{
		Addrs:  addrs,
		CAFile: a.tlsCA, CertFile: a.tlsCert, KeyFile: a.tlsKey,
		SecretFile:  a.secretFile,
		Insecure:    a.insecure,
		TLSFirst:    true,
		Timeout:     a.timeout,
		DialTimeout: min(a.timeout, client.DefaultDialTimeout),
		Attempts:    int(p),
	})
	if err != nil {
		return nil, misuse("%w", err)
	}
	return cl, nil
}

// with connects, calls f, and closes.
func (a *app) with(c *cobra.Command, p patience, f func(context.Context, *client.Client) error) error {
	cl, err := a.connect(c, p)
	if err != nil {
		return err
	}
	return errors.Join(f(c.Context(), cl), cl.Close())
}

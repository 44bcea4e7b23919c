package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/tochemey/gokv/internal/benchfig"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("a command is needed: engine or footprint")
	}
	set := flag.NewFlagSet(args[0], flag.ContinueOnError)
	var (
		keys   = set.Int("keys", 1_000_000, "how many entries")
		value  = set.Int("value", 100, "value size in bytes")
		rounds = set.Int("rounds", 5, "how often each is measured; the median counts")
		turn   = set.Duration("turn", time.Second, "how long each is measured at a time")
		name   = set.String("store", "gokv", "of which contender the footprint is taken")
	)
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	if *keys < 1000 || *value < 1 || *rounds < 1 {
		return fmt.Errorf("at least 1,000 keys, one round and values of a byte")
	}
	switch args[0] {
	case "engine":
		memory, err := measureMemory(*keys, *value)
		if err != nil {
			return err
		}
		figures := append(memory, measureSpeed(speedOptions{*keys, *value, *rounds, *turn})...)
		lives, err := measureLife(*keys, *value)
		if err != nil {
			return err
		}
		collecting, err := measureCollecting(10**keys, *value)
		if err != nil {
			return err
		}
		return benchfig.PrintJSON(os.Stdout, append(append(figures, lives...), collecting))
	case "collecting":
		slowest, err := getWhileCollecting(*keys, *value)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(slowest)
	case "footprint":
		f, err := measureFootprint(*name, *keys, *value)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(f)
	}
	return fmt.Errorf("command %q: engine or footprint", args[0])
}

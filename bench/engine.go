package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type engineOptions struct {
	keys, valueBytes, rounds int
	turn                     time.Duration
}

var defaultEngine = engineOptions{keys: 1_000_000, valueBytes: 100, rounds: 5, turn: time.Second}

// measureEngine compares the engine with Go's maps, in bench/peers: a module of its
// own, which go run fetches the maps for.
func measureEngine(ctx context.Context, o engineOptions) ([]figure, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tochemey/gokv").Output()
	if err != nil {
		return nil, fmt.Errorf("where is gokv's source? go list -m: %w", err)
	}
	peers := filepath.Join(strings.TrimSpace(string(out)), "bench", "peers")
	if _, err := os.Stat(filepath.Join(peers, "go.mod")); err != nil {
		return nil, fmt.Errorf("bench/peers is a module of its own, which a clone of the repository has and a downloaded module has not: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "run", "-C", peers, ".", "engine",
		"--keys", strconv.Itoa(o.keys), "--value", strconv.Itoa(o.valueBytes), "--rounds", strconv.Itoa(o.rounds), "--turn", o.turn.String())
	cmd.Stderr = os.Stderr
	if out, err = cmd.Output(); err != nil {
		return nil, fmt.Errorf("bench/peers: %w", err)
	}
	var figures []figure
	for lines := json.NewDecoder(bytes.NewReader(out)); ; {
		var f figure
		switch err := lines.Decode(&f); {
		case errors.Is(err, io.EOF):
			return figures, nil
		case err != nil:
			return nil, fmt.Errorf("bench/peers: %w", err)
		}
		figures = append(figures, f)
	}
}

package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
)

// peak is the most memory that a process has had resident, in bytes, as the kernel
// counts it.
func peak(t *testing.T, n node) int64 {
	t.Helper()
	for line := range strings.Lines(readFile(t, fmt.Sprintf("/proc/%d/status", n.PID()))) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			require.NoError(t, err)
			return kib << 10
		}
	}
	t.Fatal("the kernel does not tell VmHWM")
	return 0
}

// confine has the kernel kill a process that passes a limit, where a control group
// can be made; elsewhere peak alone judges.
func confine(t *testing.T, n node, limit int64) {
	t.Helper()
	for _, group := range []struct{ parent, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, // version 1
		{"/sys/fs/cgroup", "memory.max"},
	} {
		if _, err := os.Stat(filepath.Join(group.parent, "cgroup.procs")); err != nil {
			continue
		}
		dir := filepath.Join(group.parent, "gokv-e2e-"+strconv.Itoa(n.PID()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		t.Cleanup(func() {
			n.Kill()
			_ = os.Remove(dir) // empty again
		})
		for file, text := range map[string]string{group.limit: strconv.FormatInt(limit, 10), "cgroup.procs": strconv.Itoa(n.PID())} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0); err != nil {
				t.Logf("no control group: %v", err)
				return
			}
		}
		t.Logf("confined by %s", dir)
		return
	}
	t.Log("no control group can be made here")
}

func clientOf(t *testing.T, n node) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addrs: []string{n.Client}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// writers has goroutines at work and returns when the function has said of each of
// them that it has had enough.
func writers(t *testing.T, write func(writer, i int, rng *rand.Rand) (goOn bool)) {
	t.Helper()
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for i := 0; write(w, i, rng); i++ {
			}
		})
	}
	group.Wait()
}

func TestFillingANodeToRefusalNeverPassesItsLimit(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector memory is several times of what it is")
	}
	for name, size := range map[string]func(*rand.Rand) int{
		"entries of 300 bytes":        func(*rand.Rand) int { return 300 },
		"values from 0 B to 64 KiB":   func(rng *rand.Rand) int { return rng.IntN(64 << 10) },
		"values from 0.5 MiB to 1MiB": func(rng *rand.Rand) int { return 1<<19 + rng.IntN(1<<19) },
	} {
		t.Run(name, func(t *testing.T) {
			const limit = 128 << 20
			n := startNode(t, "a", "--max-memory", "128MiB")
			require.NoError(t, n.WaitReady(deadline(t)))
			confine(t, n, limit)
			c, ctx := clientOf(t, n), deadline(t)

			key := func(w, i int) string { return fmt.Sprintf("%d/%d", w, i) }
			put := func(w, i int, rng *rand.Rand) bool {
				err := c.Put(ctx, key(w, i), make([]byte, size(rng)))
				if err != nil && !errors.Is(err, client.ErrOverloaded) {
					t.Errorf("put: %v", err)
				}
				return err == nil
			}
			writers(t, put)
			status, err := c.Status(ctx)
			require.NoError(t, err)
			require.Greater(t, status.MemoryBytes, uint64(limit*80/100))
			t.Logf("%d entries, %d MiB counted, %d MiB resident at most", status.Entries, status.MemoryBytes>>20, peak(t, n)>>20)
			require.LessOrEqual(t, peak(t, n), int64(limit))

			// Full as it is, what does not grow goes on, and reads do.
			writers(t, func(w, i int, rng *rand.Rand) bool {
				k := key(w, i%40)
				switch rng.IntN(4) {
				case 0:
					if err := c.Delete(ctx, k); err != nil {
						t.Errorf("delete: %v", err)
					}
				case 1:
					for _, err := range c.List(ctx, client.WithLimit(10), client.After(k)) {
						if err != nil {
							t.Errorf("list: %v", err)
						}
					}
				default:
					put(w, i%40, rng)
				}
				return i < 60
			})
			t.Logf("%d MiB resident at most", peak(t, n)>>20)
			require.LessOrEqual(t, peak(t, n), int64(limit))
			require.NoError(t, c.Ping(ctx), "it still runs")
		})
	}
}

func TestAMemberThatOthersFillNeverPassesItsLimit(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector memory is several times of what it is")
	}
	const limit = 128 << 20
	a := startNode(t, "a")
	b := startNode(t, "b", "--join", a.Peer, "--max-memory", "128MiB")
	require.NoError(t, a.WaitReady(deadline(t)))
	require.NoError(t, b.WaitReady(deadline(t)))
	eventually(t, func() error { return a.wantMembers(t, "a alive", "b alive") })
	confine(t, b, limit)
	c, ctx := clientOf(t, a), deadline(t)
	writers(t, func(w, i int, rng *rand.Rand) bool {
		err := c.Put(ctx, fmt.Sprintf("%d/%d", w, i), make([]byte, rng.IntN(20_000)))
		if err != nil && !errors.Is(err, client.ErrOverloaded) {
			t.Errorf("put: %v", err)
		}
		return err == nil
	})
	status, err := c.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, status.Full)
	require.NoError(t, clientOf(t, b).Ping(ctx), "it still runs")
	t.Logf("%d MiB resident at most", peak(t, b)>>20)
	require.LessOrEqual(t, peak(t, b), int64(limit))
}

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
)

func TestBothEndsChooseTheSameConnection(t *testing.T) {
	t0 := time.Now()
	for _, c := range []struct {
		name                   string
		ranks                  []rank
		smallerWants, othersIs int
	}{
		{"one", []rank{{t0, true}}, 0, 0},
		{"simultaneous", []rank{{t0, true}, {t0.Add(time.Millisecond), false}}, 0, 1},
		{"simultaneous, the other order", []rank{{t0, false}, {t0.Add(time.Millisecond), true}}, 1, 0},
		{"a later one", []rank{{t0, true}, {t0.Add(simultaneous), false}}, 1, 1},
		{"a later one of ours", []rank{{t0, false}, {t0.Add(simultaneous), true}}, 1, 1},
		{"two of the same end", []rank{{t0, true}, {t0.Add(time.Second), true}}, 1, 1},
		{"an old one beside two simultaneous", []rank{{t0, true}, {t0.Add(time.Minute), true}, {t0.Add(time.Minute), false}}, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.smallerWants, choose(c.ranks, true))
			require.Equal(t, c.othersIs, choose(c.ranks, false))
			// The other end sees the same connections, dialled by the other one.
			mirrored := make([]rank, len(c.ranks))
			for i, r := range c.ranks {
				mirrored[i] = rank{r.since, !r.dialled}
			}
			require.Equal(t, c.smallerWants, choose(mirrored, false))
		})
	}
}

// TestSimultaneousDialsKeepOneConnectionAndLoseNoStream runs in virtual time with
// links whose delays differ from run to run.
func TestSimultaneousDialsKeepOneConnectionAndLoseNoStream(t *testing.T) {
	both := 0
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			link := func() simnet.NodeBiDiLinkSettings {
				return simnet.NodeBiDiLinkSettings{Latency: time.Duration(1+rng.IntN(20_000)) * time.Microsecond}
			}
			w := newWorld(t)
			p, q := w.at("1.0.0.1", link()), w.at("1.0.0.2", link())
			w.run()
			secret := auth.NewSecret()
			a := startOn(t, p, authOf(t, auth.Config{Secrets: []string{secret}, Instance: 1 + rng.Uint64N(1000)}))
			b := startOn(t, q, authOf(t, auth.Config{Secrets: []string{secret}, Instance: 2000}))

			var streams sync.WaitGroup
			begin := func(from, to *node, after time.Duration, class Class) {
				streams.Go(func() {
					<-time.After(after)
					for i := range 5 {
						from.echo(t, to.addr, class, fmt.Sprintf("stream %d of seed %d", i, seed))
						<-time.After(time.Duration(i) * time.Millisecond)
					}
				})
			}
			apart := time.Duration(rng.IntN(40_000)) * time.Microsecond
			for _, class := range []Class{Main, Bulk} {
				begin(a, b, 0, class)
				begin(b, a, apart, class)
			}
			streams.Wait()
			if t.Failed() {
				return
			}
			if len(a.conns(b.instance())) > 2 {
				both++
			}
			// A stream that is open keeps the loser alive, but not for new ones.
			<-time.After(retiredIdle + time.Second)
			synctest.Wait()
			for _, class := range []Class{Main, Bulk} {
				ca, cb := ofClass(a.conns(b.instance()), class), ofClass(b.conns(a.instance()), class)
				require.Len(t, ca, 1, "seed %d, %s", seed, class)
				require.Len(t, cb, 1, "seed %d, %s", seed, class)
				require.NotEqual(t, ca[0].dialled, cb[0].dialled)
				require.Zero(t, ca[0].streams)
				require.Zero(t, cb[0].streams)
			}
			require.Empty(t, a.gone)
			require.Empty(t, b.gone)
			require.Zero(t, a.refused.total()+b.refused.total())
			a.Close()
			b.Close()
		})
	}
	require.Positive(t, both, "no run had simultaneous dials: the test tests nothing")
}

func ofClass(conns []*conn, class Class) []*conn {
	var out []*conn
	for _, c := range conns {
		if c.class == class {
			out = append(out, c)
		}
	}
	return out
}

func TestARestartedPeerEndsItsPredecessorsConnections(t *testing.T) {
	for _, who := range []string{"the restarted node dials", "the others dial"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
				again := &reusedSocket{PacketConn: q}
				w.run()
				secret := auth.NewSecret()
				a := startOn(t, p, authOf(t, auth.Config{Secrets: []string{secret}, Instance: 1}))
				old := startOn(t, again, authOf(t, auth.Config{Secrets: []string{secret}, Instance: 2}))
				a.echo(t, old.addr, Main, "to the old")
				held, _, err := a.OpenStream(t.Context(), old.addr, Main, kindHold)
				require.NoError(t, err)
				_, err = held.Write([]byte("x"))
				require.NoError(t, err)

				// A crash: nothing that the old one says on its way out arrives.
				w.drop(func(p simnet.Packet) bool { return hostOf(p.From) == "1.0.0.2" })
				old.Close()
				<-time.After(time.Second)
				w.drop(nil)
				next := startOn(t, q, authOf(t, auth.Config{Secrets: []string{secret}, Instance: 3}))

				began := time.Now()
				if who == "the others dial" {
					// They write to the old connection; the new process knows it is not its own.
					// A packet shorter than a stateless reset would get none.
					_, err = held.Write(make([]byte, 100))
					require.NoError(t, err)
				} else {
					next.echo(t, a.addr, Main, "from the new")
				}
				require.EqualValues(t, 2, receive(t, a.gone).Instance)
				_, err = io.Copy(io.Discard, held)
				require.Error(t, err, "streams of the old connection end")
				require.EqualValues(t, 3, a.echo(t, next.addr, Main, "to the new").Instance)
				require.Less(t, time.Since(began), 2*time.Second)
				synctest.Wait()
				require.Empty(t, a.conns(2))
				require.Len(t, a.conns(3), 1)
				a.Close()
				next.Close()
				q.Close()
			})
		})
	}
}

// reusedSocket survives its owner, for a successor at the same address.
type reusedSocket struct{ net.PacketConn }

func (*reusedSocket) Close() error { return nil }

// TestADeadAddressCostsLittleAndIsReachedWhenItReturns has a member that is asked
// for all the time, as the membership does with a dead one.
func TestADeadAddressCostsLittleAndIsReachedWhenItReturns(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
			w.run()
			a := startOn(t, p, authOf(t, auth.Config{Insecure: true}))
			w.dead("1.0.0.2")
			ctx, stop := context.WithCancel(t.Context())
			var asking sync.WaitGroup
			asking.Go(func() {
				for ctx.Err() == nil {
					a.SendDatagram(q.LocalAddr().String(), []byte("probe"))
					select {
					case <-time.After(200 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			})
			<-time.After(time.Minute + time.Duration(seed*137)*time.Millisecond)
			s := a.Stats()
			require.Less(t, s.BytesOut, uint64(60*3500), "bytes to a dead address in a minute")
			require.Less(t, s.Dials, uint64(25))

			began := time.Now()
			w.drop(nil)
			b := startOn(t, q, authOf(t, auth.Config{Insecure: true}))
			require.Equal(t, "probe", receive(t, b.datagrams))
			// An attempt that began before the return is in the middle of its own timers.
			require.Less(t, time.Since(began), 2500*time.Millisecond)
			stop()
			asking.Wait()
			a.Close()
			b.Close()
		})
	}
}

func TestAnAddressThatNobodyAskedForIsReachedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		a := startOn(t, p, authOf(t, auth.Config{Insecure: true}))
		w.dead("1.0.0.2")
		for range 5 {
			_, _, err := a.OpenStream(t.Context(), q.LocalAddr().String(), Main, kindEcho)
			require.ErrorContains(t, err, "no answer within 3s")
		}
		w.drop(nil)
		b := startOn(t, q, authOf(t, auth.Config{Insecure: true}))
		began := time.Now()
		a.echo(t, b.addr, Main, "back")
		require.Less(t, time.Since(began), time.Second)
		a.Close()
		b.Close()
	})
}

func TestTheDeadDoNotHoldUpTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		a := startOn(t, p, authOf(t, auth.Config{Insecure: true}))
		b := startOn(t, q, authOf(t, auth.Config{Insecure: true}))
		ctx, stop := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		for i := range 40 {
			asking.Go(func() {
				for ctx.Err() == nil {
					a.SendDatagram(fmt.Sprintf("1.0.1.%d:7946", i), []byte("probe"))
					select {
					case <-time.After(100 * time.Millisecond):
					case <-ctx.Done():
					}
				}
			})
		}
		<-time.After(time.Minute)
		began := time.Now()
		a.echo(t, b.addr, Main, "alive")
		require.Less(t, time.Since(began), time.Second)
		stop()
		asking.Wait()
		a.Close()
		b.Close()
	})
}

func TestBackoffGrowsWithFullJitterUpToItsLimit(t *testing.T) {
	now := time.Now()
	var b backoff
	top := func() float64 { return 0.999999 }
	var rests []time.Duration
	for range 8 {
		b.failed(now, errors.New("dead"), top)
		rests = append(rests, b.wait(now).Round(time.Millisecond))
	}
	ms := time.Millisecond
	require.Equal(t, []time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms, 500 * ms, 500 * ms, 500 * ms}, rests)
	b.failed(now, errors.New("dead"), func() float64 { return 0 })
	require.Zero(t, b.wait(now))
	require.False(t, b.refusedUntil(now))

	for range 100 {
		b.failed(now, &auth.RefusedError{Reason: auth.WrongSecret}, top)
	}
	require.Equal(t, lastRefusedRest, b.wait(now).Round(time.Millisecond))
	require.True(t, b.refusedUntil(now))
}

// TestAHealedPartitionIsNoticedWithinSeconds: QUIC's own timers would by then be a
// minute apart.
func TestAHealedPartitionIsNoticedWithinSeconds(t *testing.T) {
	for _, length := range []time.Duration{20 * time.Second, 4 * time.Minute, time.Hour} {
		t.Run(length.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
				w.run()
				a := startOn(t, p, authOf(t, auth.Config{Insecure: true, Instance: 1}))
				b := startOn(t, q, authOf(t, auth.Config{Insecure: true, Instance: 2}))
				a.echo(t, b.addr, Main, "before")
				ctx, stop := context.WithCancel(t.Context())
				var probing sync.WaitGroup
				var count atomic.Int64
				for _, pair := range [][2]*node{{a, b}, {b, a}} {
					probing.Go(func() {
						for ctx.Err() == nil {
							pair[0].SendDatagram(pair[1].addr, fmt.Appendf(nil, "%d %s", count.Add(1), make([]byte, 600)))
							select {
							case <-time.After(time.Second):
							case <-ctx.Done():
							}
						}
					})
				}
				<-time.After(10 * time.Second)
				require.Len(t, a.conns(2), 1, "a lively connection is kept")
				require.EqualValues(t, 1, a.Stats().Dials+b.Stats().Dials)

				w.drop(func(simnet.Packet) bool { return true })
				<-time.After(length)
				w.drop(nil)
				for len(a.datagrams)+len(b.datagrams) > 0 {
					select {
					case <-a.datagrams:
					case <-b.datagrams:
					}
				}
				began := time.Now()
				receive(t, a.datagrams)
				receive(t, b.datagrams)
				require.Less(t, time.Since(began), 4*time.Second)
				a.echo(t, b.addr, Main, "after")
				b.echo(t, a.addr, Main, "after")
				<-time.After(retiredIdle + 2*time.Second)
				require.Len(t, a.conns(2), 1)
				require.Len(t, b.conns(1), 1)
				stop()
				probing.Wait()
				a.Close()
				b.Close()
			})
		})
	}
}

func TestABulkConnectionEndsWhenNobodyUsesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		a := startOn(t, p, authOf(t, auth.Config{Insecure: true, Instance: 1}))
		b := startOn(t, q, authOf(t, auth.Config{Insecure: true, Instance: 2}))
		a.echo(t, b.addr, Main, "main")
		a.echo(t, b.addr, Bulk, "bulk")
		b.echo(t, a.addr, Bulk, "the other way, on the same connection")
		require.EqualValues(t, 2, a.Stats().Dials+b.Stats().Dials)

		held, _, err := b.OpenStream(t.Context(), a.addr, Bulk, kindHold)
		require.NoError(t, err)
		_, err = held.Write([]byte("x"))
		require.NoError(t, err)
		<-time.After(2 * time.Minute)
		require.Len(t, ofClass(a.conns(2), Bulk), 1, "an open stream keeps it")
		require.NoError(t, held.Close())
		<-time.After(bulkIdle - time.Second)
		require.Len(t, ofClass(a.conns(2), Bulk), 1)
		b.echo(t, a.addr, Bulk, "too late for the old one")
		<-time.After(2 * bulkIdle)
		require.Empty(t, ofClass(a.conns(2), Bulk))
		require.Empty(t, ofClass(b.conns(1), Bulk))
		require.Len(t, a.conns(2), 1, "the main one stays")
		require.Empty(t, a.gone)
		a.Close()
		b.Close()
	})
}

func TestAnIdleMainConnectionEndsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		a := startOn(t, p, authOf(t, auth.Config{Insecure: true, Instance: 1}))
		b := startOn(t, q, authOf(t, auth.Config{Insecure: true, Instance: 2}))
		a.echo(t, b.addr, Main, "x")
		quiet := a.Stats().BytesOut
		<-time.After(idleTimeout - 10*time.Second)
		require.Less(t, a.Stats().BytesOut-quiet, uint64(6000), "an idle connection sends next to nothing")
		<-time.After(20 * time.Second)
		require.EqualValues(t, 2, receive(t, a.gone).Instance)
		require.EqualValues(t, 1, receive(t, b.gone).Instance)
		b.SendDatagram(a.addr, []byte("again"))
		require.Equal(t, "again", receive(t, a.datagrams))
		a.Close()
		b.Close()
	})
}

func TestDisconnectEndsAllConnectionsOfAnInstance(t *testing.T) {
	a, b := start(t, authOf(t, auth.Config{})), start(t, authOf(t, auth.Config{}))
	a.echo(t, b.addr, Main, "x")
	a.echo(t, b.addr, Bulk, "x")
	a.Disconnect(b.instance())
	a.Disconnect(b.instance())
	a.Disconnect(12345)
	require.Equal(t, a.instance(), receive(t, b.gone).Instance)
	require.Equal(t, b.instance(), receive(t, a.gone).Instance)
	a.echo(t, b.addr, Main, "it may come again")
}

func TestASlowHandlerCostsTheSenderNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		slow := &slowHandler{recorder: newRecorder(), pace: make(chan struct{})}
		a := startOn(t, p, authOf(t, auth.Config{Insecure: true}))
		b := startOn(t, q, authOf(t, auth.Config{Insecure: true}), func(c *Config) { c.Handler = slow })
		began := time.Now()
		for i := range 10_000 {
			a.SendDatagram(b.addr, fmt.Append(nil, i))
		}
		require.Zero(t, time.Since(began))
		<-time.After(time.Second)
		s := a.Stats()
		require.EqualValues(t, 10_000, s.DatagramsSent+s.DatagramsDropped)
		require.NotZero(t, s.DatagramsDropped)
		a.echo(t, b.addr, Main, "streams are served all the same")
		close(slow.pace)
		a.Close()
		b.Close()
	})
}

type slowHandler struct {
	*recorder
	pace chan struct{}
}

func (h *slowHandler) HandleDatagram(Peer, []byte) { <-h.pace }

func TestAFullQueueDropsItsOldest(t *testing.T) {
	q := newQueue()
	dropped := 0
	for i := range queueLen + 10 {
		if q.push(fmt.Append(nil, i)) {
			dropped++
		}
	}
	require.Equal(t, 10, dropped)
	for i := range queueLen {
		b, ok := q.take()
		require.True(t, ok)
		require.Equal(t, fmt.Sprint(i+10), string(b))
	}
	_, ok := q.take()
	require.False(t, ok)
	q.push(nil)
	require.Equal(t, 1, q.clear())
	done := make(chan struct{})
	close(done)
	_, ok = q.pop(done)
	require.False(t, ok)
}

func TestAddressesAreForgottenBeforeTheyFillMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		a := startOn(t, p, authOf(t, auth.Config{Insecure: true}), func(c *Config) { c.MaxPeers = 2 })
		b := startOn(t, q, authOf(t, auth.Config{Insecure: true}))
		a.echo(t, b.addr, Main, "x")
		for i := range 100 {
			a.SendDatagram(fmt.Sprintf("1.0.9.%d:7946", i), []byte("x"))
		}
		a.Transport.mu.Lock()
		require.Len(t, a.links, linksPerPeer*2)
		a.Transport.mu.Unlock()
		_, _, err := a.OpenStream(t.Context(), "1.0.8.1:7946", Main, kindEcho)
		require.ErrorIs(t, err, errTooManyAddrs)
		a.echo(t, b.addr, Main, "the connected are not touched")
		<-time.After(time.Minute)
		_, _, err = a.OpenStream(t.Context(), "1.0.8.1:7946", Main, kindEcho)
		require.NotErrorIs(t, err, errTooManyAddrs)
		a.Close()
		b.Close()
	})
}

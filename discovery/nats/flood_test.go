package nats

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/nats/natstest"
)

const flood = 10_000

// heap is what is in use, garbage aside.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestRandomBytesOnTheSubjectChangeNothing(t *testing.T) {
	srv := natstest.Start(t)
	a := registered(t, quick(srv.URL), "c", "10.0.0.1:1")
	registered(t, quick(srv.URL), "c", "10.0.0.2:2")
	wantPeers(t, a, "10.0.0.2:2")
	nc := stranger(t, srv.URL)
	source := rand.NewChaCha8([32]byte{1})
	valid, err := message{1, hello, "c", 7, "10.6.6.6", 6}.encode()
	require.NoError(t, err)
	before := heap()
	for i := range flood {
		b := make([]byte, rand.N(2*maxMessageBytes))
		_, _ = source.Read(b)
		if i%2 == 0 { // a message with a byte of it gone wrong
			b = slices.Clone(valid)
			b[0] ^= byte(1 + rand.N(255)) // the map's head: no longer six pairs
		}
		if i%100 == 0 { // not all at once: what is lost is another test's
			require.NoError(t, nc.Flush())
		}
		require.NoError(t, nc.PublishRequest(a.cfg.Subject, nc.NewInbox(), b))
	}
	require.NoError(t, nc.Flush())
	wantPeers(t, a, "10.0.0.2:2")
	require.Less(t, heap(), before+8<<20)
}

// forger answers each request with n answers of its own making.
func forger(t *testing.T, url string, subject string, n int, forge func(i int) message) {
	t.Helper()
	nc := stranger(t, url)
	answers := make([][]byte, n)
	for i := range answers {
		b, err := forge(i).encode()
		require.NoError(t, err)
		answers[i] = b
	}
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		for _, b := range answers {
			_ = m.Respond(b)
		}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
}

func TestForgedAnswersAreCappedAndTheRealOnesKept(t *testing.T) {
	srv := natstest.Start(t)
	cfg := quick(srv.URL)
	cfg.Timeout = time.Second
	registered(t, cfg, "c", "10.0.0.2:2")
	a := connected(t, cfg, "c", "10.0.0.1:1")
	forge := func(i int) message {
		return message{1, answer, "c", 1000 + uint64(i), fmt.Sprintf("10.9.%d.%d", i/250, i%250), 9}
	}

	forger(t, srv.URL, cfg.withDefaults().Subject, maxPeers-1, forge)
	require.Eventually(t, func() bool {
		addrs, err := ask(t, a)
		require.LessOrEqual(t, len(addrs), maxPeers)
		return err == nil && len(addrs) == maxPeers && slices.Contains(addrs, "10.0.0.2:2")
	}, patience, often, "10,000 addresses are an answer")

	forger(t, srv.URL, cfg.withDefaults().Subject, 2, func(i int) message { return forge(maxPeers + i) })
	require.Eventually(t, func() bool {
		addrs, err := ask(t, a)
		require.LessOrEqual(t, len(addrs), maxPeers)
		return err != nil && len(addrs) == maxPeers
	}, patience, often, "more are an error")
	require.ErrorContains(t, wantError(t, a), "more than 10000 addresses")
}

// The server's last reply comes after all answers, but not after their being read.
func TestAnswersThatWaitUnreadAreTakenAtTheEnd(t *testing.T) {
	srv := natstest.Start(t)
	a := connected(t, quick(srv.URL), "c", "10.0.0.1:1")
	s, err := a.session()
	require.NoError(t, err)
	c := &collection{s: s, w: s.open(answer), timeout: a.cfg.Timeout}
	defer s.close(c.w)
	inbox := s.nc.NewInbox()
	c.sub, err = subscribe(s.nc, inbox)
	require.NoError(t, err)
	for i := range 500 {
		b, err := message{1, answer, "c", uint64(i), "10.0.0.2", uint16(i + 1)}.encode()
		require.NoError(t, err)
		require.NoError(t, s.nc.Publish(inbox, b))
	}
	require.NoError(t, s.flush(t.Context(), patience))
	require.NoError(t, c.drain())
	addrs, whole := c.w.found()
	require.Len(t, addrs, 500)
	require.True(t, whole)

	s.nc.Close()
	require.ErrorIs(t, c.drain(), nats.ErrConnectionClosed, "what is left unread is not nothing")
}

func TestForgedMessagesOnlyEverAddAddresses(t *testing.T) {
	srv := natstest.Start(t)
	a := registered(t, quick(srv.URL), "c", "10.0.0.1:1")
	b := registered(t, quick(srv.URL), "c", "10.0.0.2:2")
	// Somebody says goodbye for b, answers for it under another address, and
	// answers as a itself, each time that anybody asks.
	nc := stranger(t, srv.URL)
	encoded := func(m message) []byte {
		text, err := m.encode()
		require.NoError(t, err)
		return text
	}
	bye := encoded(message{1, goodbye, "c", b.self.Instance, "10.0.0.2", 2})
	replies := [][]byte{
		encoded(message{1, answer, "c", b.self.Instance, "10.6.6.6", 6}),
		encoded(message{1, answer, "c", a.self.Instance, "10.7.7.7", 7}),
		encoded(message{1, answer, "other", 9, "10.8.8.8", 8}),
		encoded(message{1, hello, "c", 10, "10.8.8.9", 8}), // no answer
		{},
	}
	_, err := nc.Subscribe(a.cfg.Subject, func(m *nats.Msg) {
		if m.Reply == "" {
			return
		}
		_ = nc.Publish(a.cfg.Subject, bye)
		for _, r := range replies {
			_ = m.Respond(r)
		}
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": []string{"503"}}})
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	for range 3 {
		wantPeers(t, a, "10.0.0.2:2", "10.6.6.6:6")
	}
}

func TestAFloodOfRequestsIsAnsweredUpToALimitAndIsNeverNobody(t *testing.T) {
	srv := natstest.Start(t)
	cfg := quick(srv.URL)
	cfg.Timeout = time.Second
	a := registered(t, cfg, "c", "10.0.0.1:1")
	registered(t, cfg, "c", "10.0.0.2:2")
	wantPeers(t, a, "10.0.0.2:2")
	nc := stranger(t, srv.URL)
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	require.NoError(t, err)
	forged, err := message{1, request, "c", 7, "10.6.6.6", 6}.encode()
	require.NoError(t, err)

	began := time.Now()
	addrs, err := during(t, srv.URL, a, func() {
		for range flood {
			require.NoError(t, nc.PublishRequest(a.cfg.Subject, inbox, forged))
		}
		require.NoError(t, nc.Flush())
	})
	if err == nil {
		require.Equal(t, []string{"10.0.0.2:2"}, addrs)
	} else {
		require.ErrorContains(t, err, "flood")
	}
	// Afterwards all is well again.
	neverNobody(t, a, "10.0.0.2:2")
	answers, _, err := sub.Pending()
	require.NoError(t, err)
	most := 2 * int(float64(answersPerSecond)*(1+time.Since(began).Seconds()))
	require.NotZero(t, answers)
	require.LessOrEqual(t, answers, most, "two nodes answer")
	require.Less(t, answers, 2*flood)
}

// More than a subscription holds, from a sender that nothing slows down.
func TestMessagesThatAreDroppedMakeAnAnswerAnError(t *testing.T) {
	srv := natstest.Start(t)
	cfg := quick(srv.URL)
	cfg.Timeout = time.Second
	a := registered(t, cfg, "c", "10.0.0.1:1")
	s, err := a.session()
	require.NoError(t, err)
	require.NoError(t, s.sub.SetPendingLimits(8, queueBytes)) // so that few will do
	nc := stranger(t, srv.URL)
	big := make([]byte, 100)
	require.Eventually(t, func() bool {
		_, err := during(t, srv.URL, a, func() {
			for range 5000 {
				require.NoError(t, nc.Publish(a.cfg.Subject, big))
			}
			require.NoError(t, nc.Flush())
		})
		return err != nil && s.lost() > 0
	}, patience, often)
	wantPeers(t, a)
}

func TestNobodyIsAnsweredOutsideAnInbox(t *testing.T) {
	for subject, inbox := range map[string]bool{
		"_INBOX.abc": true, "_INBOX.abc.1": true, "_R_.x.1": true,
		"": false, "gokv.discovery": false, "orders": false, "_INBOX.*": false, "_INBOX.>": false,
		"$SYS.REQ": false, "_INBOX.a b": false, "_INBOX": false, "x._INBOX.a": false,
	} {
		require.Equal(t, inbox, isInbox(subject), subject)
	}
	srv := natstest.Start(t)
	a := registered(t, quick(srv.URL), "c", "10.0.0.1:1")
	nc := stranger(t, srv.URL)
	orders, err := nc.SubscribeSync("orders")
	require.NoError(t, err)
	proper, err := nc.SubscribeSync("_INBOX.x")
	require.NoError(t, err)
	text, err := message{1, request, "c", 7, "10.6.6.6", 6}.encode()
	require.NoError(t, err)
	require.NoError(t, nc.PublishRequest(a.cfg.Subject, "orders", text))
	require.NoError(t, nc.PublishRequest(a.cfg.Subject, "_INBOX.x", text))
	_, err = proper.NextMsg(patience) // handled after the other
	require.NoError(t, err)
	n, _, err := orders.Pending()
	require.NoError(t, err)
	require.Zero(t, n)
}

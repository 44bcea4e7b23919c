package auth

import (
	"context"
	"crypto/tls"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var peerOnly = []Role{RolePeer}

func TestTwoNodesWithOneSecretMeet(t *testing.T) {
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: "c", Instance: 1, Secrets: []string{secret}})
	b := mustNew(t, Config{Cluster: "c", Instance: 2, Secrets: []string{secret}})
	require.Equal(t, Secret, a.Mode())

	v := meet(t, a, b, peerOnly, RolePeer, Hello{Name: "a", Addr: "a:1", Proto: 3}, Hello{Name: "b", Addr: "b:1", Proto: 4, Class: 1})
	require.NoError(t, v.listener)
	require.NoError(t, v.dialler)
	require.Equal(t, RolePeer, v.role)
	require.Equal(t, Hello{Cluster: "c", Instance: 2, Name: "b", Addr: "b:1", Proto: 4, Class: 1}, v.atListener)
	require.Equal(t, Hello{Cluster: "c", Instance: 1, Name: "a", Addr: "a:1", Proto: 3}, v.atDialler)
}

func TestWhatFollowsTheHandshakeStaysInTheStream(t *testing.T) {
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
	b := mustNew(t, Config{Secrets: []string{secret}})
	server, client := tlsPair(t, a, b)
	go func() {
		_, _, err := a.Accept(context.Background(), server, server.ConnectionState(), []Role{RoleAdmin}, Hello{})
		if err == nil {
			io.WriteString(server, "hello")
		}
		server.Close()
	}()
	h, err := b.Connect(context.Background(), client, client.ConnectionState(), RoleAdmin, Hello{})
	require.NoError(t, err)
	require.Equal(t, "c", h.Cluster, "a client learns the cluster's name")
	rest, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "hello", string(rest))
}

func TestEachRefusalIsToldToBothEnds(t *testing.T) {
	one, two := NewSecret(), NewSecret()
	for _, c := range []struct {
		name              string
		listener, dialler Config
		need              []Role
		role              Role
		want              Reason
		byListener        bool
	}{
		{
			name: "a secret that is not ours", want: WrongSecret,
			listener: Config{Cluster: "c", Secrets: []string{one}}, dialler: Config{Cluster: "c", Secrets: []string{two}},
		},
		{
			name: "a client with a wrong secret", want: WrongSecret, need: []Role{RoleAdmin}, role: RoleAdmin,
			listener: Config{Cluster: "c", Secrets: []string{one}}, dialler: Config{Secrets: []string{two}},
		},
		{
			name: "a dialler without a secret", want: WrongSecret,
			listener: Config{Cluster: "c", Secrets: []string{one}}, dialler: Config{Cluster: "c"},
		},
		{
			name: "a listener without a secret", want: WrongSecret,
			listener: Config{Cluster: "c"}, dialler: Config{Cluster: "c", Secrets: []string{one}},
		},
		{
			name: "another cluster", want: WrongCluster, byListener: true,
			listener: Config{Cluster: "c", Secrets: []string{one}}, dialler: Config{Cluster: "d", Secrets: []string{one}},
		},
		{
			name: "a peer that names no cluster", want: WrongCluster, byListener: true,
			listener: Config{Cluster: "c", Secrets: []string{one}}, dialler: Config{Secrets: []string{one}},
		},
		{
			name: "another cluster, without secrets", want: WrongCluster, byListener: true,
			listener: Config{Cluster: "c"}, dialler: Config{Cluster: "d"},
		},
		{
			name: "an admin among peers", want: WrongRole, byListener: true, role: RoleAdmin,
			listener: Config{Cluster: "c", Secrets: []string{one}}, dialler: Config{Cluster: "c", Secrets: []string{one}},
		},
		{
			name: "a secret that proves another role", want: WrongRole, byListener: true, need: []Role{RoleAdmin}, role: RoleAdmin,
			listener: Config{Cluster: "c", Secrets: []string{"peer " + one}}, dialler: Config{Secrets: []string{one}},
		},
		{
			name: "ourselves", want: Self, byListener: true,
			listener: Config{Cluster: "c", Instance: 7, Secrets: []string{one}}, dialler: Config{Cluster: "c", Instance: 7, Secrets: []string{one}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.need == nil {
				c.need = peerOnly
			}
			if c.role == RoleAny {
				c.role = RolePeer
			}
			v := meet(t, mustNew(t, c.listener), mustNew(t, c.dialler), c.need, c.role, Hello{}, Hello{})
			wantReason(t, v.listener, c.want, !c.byListener)
			wantReason(t, v.dialler, c.want, c.byListener)
			require.ErrorIs(t, v.dialler, &RefusedError{Reason: c.want})
		})
	}
}

func TestAWrongSecretReadsAsOne(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c", Secrets: []string{NewSecret()}})
	b := mustNew(t, Config{Secrets: []string{NewSecret()}})
	v := meet(t, a, b, []Role{RoleAdmin}, RoleAdmin, Hello{}, Hello{})
	require.ErrorContains(t, v.dialler, "refused: wrong secret: ")
	require.ErrorContains(t, v.listener, "refused by the other end: wrong secret: it does not accept our proof")
}

func TestARoleThatNoSecretProvesIsRefusedBeforeTheFirstByte(t *testing.T) {
	b := mustNew(t, Config{Secrets: []string{"peer " + NewSecret()}})
	a := mustNew(t, Config{Cluster: "c", Secrets: []string{NewSecret()}})
	v := meet(t, a, b, []Role{RoleAdmin}, RoleAdmin, Hello{}, Hello{})
	wantReason(t, v.dialler, WrongRole, false)
}

// TestSecretsRotateWithoutAMomentApart: two ends that share a secret meet, whatever
// else they hold and in which order, so the steps of a rotation may overlap.
func TestSecretsRotateWithoutAMomentApart(t *testing.T) {
	old, next := NewSecret(), NewSecret()
	stages := [][]string{{old}, {old, next}, {next, old}, {next}}
	for i, from := range stages {
		for j, to := range stages {
			v := meet(t, mustNew(t, Config{Cluster: "c", Secrets: from}), mustNew(t, Config{Cluster: "c", Secrets: to}), peerOnly, RolePeer, Hello{}, Hello{})
			if max(i-j, j-i) == len(stages)-1 {
				wantReason(t, v.dialler, WrongSecret, false)
				continue
			}
			require.NoError(t, v.listener, "stages %d and %d", i, j)
			require.NoError(t, v.dialler, "stages %d and %d", i, j)
		}
	}
}

func TestTheFirstSecretThatBothKnowSigns(t *testing.T) {
	one, two, three := NewSecret(), NewSecret(), NewSecret()
	m := mustNew(t, Config{Secrets: []string{one, "peer " + two, three}}).material()
	for _, c := range []struct {
		role  Role
		known []int
		want  int
	}{
		{RolePeer, nil, 0}, {RolePeer, []int{2, 1}, 1}, {RolePeer, []int{2}, 2}, {RoleAdmin, []int{1, 2}, 2}, {RoleAdmin, []int{1}, 0},
	} {
		var known []keyID
		for _, i := range c.known {
			known = append(known, m.secrets[i].id)
		}
		require.Same(t, &m.secrets[c.want], m.secretFor(c.role, known))
	}
	require.Nil(t, m.secretFor(RoleRW, nil))
	require.Equal(t, []keyID{m.secrets[0].id, m.secrets[2].id}, m.hints(RoleAdmin))
	many := mustNew(t, Config{Secrets: []string{one, two, three, NewSecret(), NewSecret()}}).material()
	require.Len(t, many.hints(RolePeer), maxHints)
}

func TestARoleHasSecretsOfItsOwn(t *testing.T) {
	peers, admins := NewSecret(), NewSecret()
	node := mustNew(t, Config{Cluster: "c", Secrets: []string{"peer " + peers, "admin " + admins}})
	other := mustNew(t, Config{Cluster: "c", Secrets: []string{"peer " + peers, "admin " + admins}})
	client := mustNew(t, Config{Secrets: []string{"admin " + admins}})

	v := meet(t, node, other, peerOnly, RolePeer, Hello{}, Hello{})
	require.NoError(t, v.dialler)
	v = meet(t, node, client, []Role{RoleAdmin}, RoleAdmin, Hello{}, Hello{})
	require.NoError(t, v.dialler)
	require.Equal(t, RoleAdmin, v.role)

	// A bare line of the client's secret proves admin here, and nothing else.
	posing := mustNew(t, Config{Cluster: "c", Secrets: []string{admins}})
	v = meet(t, node, posing, peerOnly, RolePeer, Hello{}, Hello{})
	require.Error(t, v.listener)
	require.Error(t, v.dialler)
}

func TestAHandlerMayRefuseAProvenDialler(t *testing.T) {
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
	b := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
	server, client := tlsPair(t, a, b)
	errs := make(chan error, 1)
	go func() {
		_, _, err := a.AcceptIf(context.Background(), server, server.ConnectionState(), peerOnly, Hello{}, func(h Hello, r Role) Reason {
			if h.Name == "b" && r == RolePeer {
				return Limit
			}
			return ReasonNone
		})
		errs <- err
	}()
	_, err := b.Connect(context.Background(), client, client.ConnectionState(), RolePeer, Hello{Name: "b"})
	wantReason(t, err, Limit, true)
	wantReason(t, <-errs, Limit, false)
}

func TestAHandshakeHasThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := NewSecret()
		a := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
		b := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
		server, client := tlsPair(t, a, b)
		go io.Copy(io.Discard, client)
		began := time.Now()
		_, _, err := a.Accept(context.Background(), server, server.ConnectionState(), peerOnly, Hello{})
		wantReason(t, err, Timeout, false)
		require.Equal(t, HandshakeTimeout, time.Since(began))
	})
}

func TestADiallerThatTricklesIsCutOffAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := NewSecret()
		a := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
		b := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
		server, client := tlsPair(t, a, b)
		go io.Copy(io.Discard, client)
		enough := make(chan struct{})
		defer close(enough)
		go func() {
			h := hello{version: Version, role: RolePeer, instance: 9, cluster: "c"}
			for _, c := range h.appendTo(nil) {
				if _, err := client.Write([]byte{c}); err != nil {
					return
				}
				select {
				case <-time.After(time.Second):
				case <-enough:
					return
				}
			}
		}()
		_, _, err := a.Accept(context.Background(), server, server.ConnectionState(), peerOnly, Hello{})
		wantReason(t, err, Timeout, false)
	})
}

func TestACancelledHandshakeReturnsAtOnce(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c"})
	b := mustNew(t, Config{Cluster: "c"})
	server, _ := tlsPair(t, a, b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := a.Accept(ctx, server, server.ConnectionState(), peerOnly, Hello{})
	require.ErrorIs(t, err, context.Canceled)
}

// dialRaw is a dialler that says whatever a test likes.
func dialRaw(t *testing.T, listener *Authenticator, talk func(c *tls.Conn)) error {
	t.Helper()
	stranger := mustNew(t, Config{Cluster: "c"})
	server, client := tlsPair(t, listener, stranger)
	done := make(chan struct{})
	go func() {
		defer close(done)
		talk(client)
		client.NetConn().Close()
	}()
	_, _, err := listener.Accept(context.Background(), server, server.ConnectionState(), peerOnly, Hello{})
	server.NetConn().Close()
	<-done
	return err
}

func TestAReflectedProofIsRefusedAsSuch(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c", Instance: 1, Secrets: []string{NewSecret()}})
	var told Reason
	err := dialRaw(t, a, func(c *tls.Conn) {
		h := hello{version: Version, role: RolePeer, instance: 2, cluster: "c"}
		c.Write(h.appendTo(nil))
		in := frameReader{src: c, left: MaxUnproven}
		_, body, err := in.next()
		if err != nil {
			return
		}
		ch, err := parseChallenge(body)
		if err != nil {
			return
		}
		back := proof{secret: true, sealed: ch.sealed}
		c.Write(back.appendTo(nil))
		if _, body, err = in.next(); err == nil {
			r, _ := parseRefuse(body)
			told = r.reason
		}
	})
	wantReason(t, err, Reflected, false)
	require.Equal(t, Reflected, told)
}

// TestARelayedProofIsRefused has an attacker between two honest ends: it dials the
// listener, and lets an honest dialler dial it. Each end's proof is passed on as it
// is; they fit neither TLS connection.
func TestARelayedProofIsRefused(t *testing.T) {
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: "c", Instance: 1, Secrets: []string{secret}})
	b := mustNew(t, Config{Cluster: "c", Instance: 2, Secrets: []string{secret}})
	attacker := mustNew(t, Config{Cluster: "c"})

	aEnd, toA := tlsPair(t, a, attacker)
	toB, bEnd := tlsPair(t, attacker, b)
	relay := func(to, from *tls.Conn) {
		io.Copy(to, from)
		to.NetConn().Close()
	}
	go relay(toA, toB)
	go relay(toB, toA)

	errs := make(chan error, 1)
	go func() {
		_, _, err := a.Accept(context.Background(), aEnd, aEnd.ConnectionState(), peerOnly, Hello{})
		errs <- err
		aEnd.NetConn().Close()
	}()
	_, err := b.Connect(context.Background(), bEnd, bEnd.ConnectionState(), RolePeer, Hello{})
	wantReason(t, err, BadProof, false)
	wantReason(t, <-errs, BadProof, true)
	for _, c := range []*tls.Conn{aEnd, toA, toB, bEnd} {
		c.NetConn().Close()
	}
}

// TestAnHonestDiallersProofCannotBeRelayed is the other half: an attacker that got
// past the dialler's check, with a proof of the dialler for another connection.
func TestAnHonestDiallersProofCannotBeRelayed(t *testing.T) {
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: "c", Instance: 1, Secrets: []string{secret}})
	err := dialRaw(t, a, func(c *tls.Conn) {
		h := hello{version: Version, role: RolePeer, instance: 2, cluster: "c"}
		c.Write(h.appendTo(nil))
		in := frameReader{src: c, left: MaxUnproven}
		if _, _, err := in.next(); err != nil {
			return
		}
		other := binding{role: RolePeer, listener: 1, dialler: 2, cluster: "c"} // another exporter
		s, err := parseSecretLine(secret)
		if err != nil {
			return
		}
		p := proof{secret: true, sealed: other.seal(&s, fromDialler)}
		c.Write(p.appendTo(nil))
		in.next()
	})
	wantReason(t, err, BadProof, false)
}

func TestGarbageIsRefused(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c", Instance: 1, Secrets: []string{NewSecret()}})
	good := hello{version: Version, role: RolePeer, instance: 2, cluster: "c"}
	long := make([]byte, 0, 600)
	for len(long) < 600 {
		long = append(long, 0x01)
	}
	for name, c := range map[string]struct {
		send []byte
		want Reason
	}{
		"an empty message":         {[]byte{0, 0}, Malformed},
		"an unknown type":          {[]byte{0, 1, 99}, Malformed},
		"a length past the budget": {[]byte{0xff, 0xff, 1}, Malformed},
		"a type out of turn":       {(&proof{}).appendTo(nil), Malformed},
		"trailing bytes":           {appendFrame(nil, frameHello, func(b []byte) []byte { return append(good.appendTo(b)[3:], 0) }), Malformed},
		"an HTTP request":          {[]byte("GET / HTTP/1.1\r\n\r\n"), Malformed},
		"a later version":          {(&hello{version: Version + 1}).appendTo(nil), VersionMismatch},
		"long garbage":             {long, Malformed},
		"an unknown role":          {(&hello{version: Version, role: 77, instance: 2, cluster: "c"}).appendTo(nil), WrongRole},
		"a control character":      {(&hello{version: Version, role: RolePeer, instance: 2, cluster: "c\n"}).appendTo(nil), Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			err := dialRaw(t, a, func(conn *tls.Conn) {
				go conn.Write(c.send)
				in := frameReader{src: conn, left: MaxUnproven}
				in.next()
			})
			wantReason(t, err, c.want, false)
		})
	}
}

func TestADiallerThatLeavesIsNotRefused(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c", Instance: 1, Secrets: []string{NewSecret()}})
	err := dialRaw(t, a, func(*tls.Conn) {})
	require.Error(t, err)
	require.Equal(t, ReasonNone, ReasonOf(err))
}

func TestTheLongestHandshakeFitsTheBudget(t *testing.T) {
	long := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'x'
		}
		return string(b)
	}
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: long(MaxCluster), Secrets: []string{secret}})
	b := mustNew(t, Config{Cluster: long(MaxCluster), Secrets: []string{secret}})
	h := Hello{Name: long(MaxName), Addr: long(MaxAddr), Proto: 255, Class: 255}
	v := meet(t, a, b, peerOnly, RolePeer, h, h)
	require.NoError(t, v.listener)
	require.NoError(t, v.dialler)
	require.Equal(t, h.Name, v.atListener.Name)

	h.Name += "x"
	_, err := b.Connect(context.Background(), nil, tls.ConnectionState{}, RolePeer, h)
	require.ErrorContains(t, err, "101 bytes, the limit is 100")
}

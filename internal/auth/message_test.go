package auth

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// The messages of docs/security.md. Whoever changes one of these vectors changes
// the protocol: raise Version.
var (
	goldenSealed = func() (s sealed) {
		for i := range s.key {
			s.key[i] = byte(0xa0 + i)
		}
		for i := range s.mac {
			s.mac[i] = byte(i)
		}
		return s
	}()
	goldenHello     = hello{version: 1, role: RolePeer, instance: 0x0102030405060708, cluster: "gokv", hints: []keyID{goldenSealed.key}}
	goldenBareHello = hello{version: 1, role: RoleAdmin, instance: 0x0102030405060708}
	goldenChallenge = challenge{version: 1, secret: true, instance: 0x1112131415161718, cluster: "gokv", sealed: goldenSealed}
	goldenOpen      = challenge{version: 1, instance: 0x1112131415161718, cluster: "gokv"}
	goldenProof     = proof{secret: true, sealed: goldenSealed, proto: 1, class: 2, name: "b", addr: "b:7946"}
	goldenWelcome   = welcome{proto: 1, name: "a", addr: "a:7946"}
	goldenRefuse    = refuse{version: 1, reason: WrongSecret}
)

const (
	goldenSealedHex = "a0a1a2a3a4a5a6a7" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

	goldenHelloHex     = "0019" + "01" + "01" + "01" + "0102030405060708" + "04676f6b76" + "01" + "a0a1a2a3a4a5a6a7"
	goldenBareHelloHex = "000d" + "01" + "01" + "02" + "0102030405060708" + "00" + "00"
	goldenChallengeHex = "0038" + "02" + "01" + "01" + "1112131415161718" + "04676f6b76" + goldenSealedHex
	goldenOpenHex      = "0010" + "02" + "01" + "00" + "1112131415161718" + "04676f6b76"
	goldenProofHex     = "0035" + "03" + "01" + goldenSealedHex + "01" + "02" + "0162" + "06623a37393436"
	goldenWelcomeHex   = "000b" + "04" + "01" + "0161" + "06613a37393436"
	goldenRefuseHex    = "0003" + "05" + "01" + "01"
)

// codecs lists every message with its golden form and a parser that gives back
// what it understood.
var codecs = []struct {
	name   string
	kind   frameType
	golden string
	bytes  []byte
	again  func(body []byte) ([]byte, error)
}{
	{"hello", frameHello, goldenHelloHex, goldenHello.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseHello(b)
		return m.appendTo(nil), err
	}},
	{"hello of a client without a secret", frameHello, goldenBareHelloHex, goldenBareHello.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseHello(b)
		return m.appendTo(nil), err
	}},
	{"challenge", frameChallenge, goldenChallengeHex, goldenChallenge.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseChallenge(b)
		return m.appendTo(nil), err
	}},
	{"challenge without a secret", frameChallenge, goldenOpenHex, goldenOpen.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseChallenge(b)
		return m.appendTo(nil), err
	}},
	{"proof", frameProof, goldenProofHex, goldenProof.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseProof(b)
		return m.appendTo(nil), err
	}},
	{"welcome", frameWelcome, goldenWelcomeHex, goldenWelcome.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseWelcome(b)
		return m.appendTo(nil), err
	}},
	{"refuse", frameRefuse, goldenRefuseHex, goldenRefuse.appendTo(nil), func(b []byte) ([]byte, error) {
		m, err := parseRefuse(b)
		return m.appendTo(nil), err
	}},
}

func TestMessagesHaveTheirGoldenForm(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.golden, hex.EncodeToString(c.bytes))
			in := frameReader{src: bytes.NewReader(c.bytes), left: MaxUnproven}
			kind, body, err := in.next()
			require.NoError(t, err)
			require.Equal(t, c.kind, kind)
			again, err := c.again(body)
			require.NoError(t, err)
			require.Equal(t, c.bytes, again)
		})
	}
}

func TestEveryTruncationAndExtensionOfAMessageIsRefused(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, func(t *testing.T) {
			body := c.bytes[frameHeader:]
			for n := range body {
				_, err := c.again(body[:n])
				require.Error(t, err, "cut to %d bytes", n)
			}
			_, err := c.again(append(bytes.Clone(body), 0))
			require.ErrorIs(t, err, errTrailing)
			for n := range c.bytes {
				in := frameReader{src: bytes.NewReader(c.bytes[:n]), left: MaxUnproven}
				_, _, err := in.next()
				require.Error(t, err)
				if n == 0 {
					require.ErrorIs(t, err, io.EOF)
				} else {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut to %d bytes", n)
				}
			}
		})
	}
}

func TestAMessageOfAnotherVersionIsReadUpToItsVersionOnly(t *testing.T) {
	h, err := parseHello([]byte{9, 1, 2, 3})
	require.NoError(t, err)
	require.Equal(t, hello{version: 9}, h)
	c, err := parseChallenge([]byte{9})
	require.NoError(t, err)
	require.Equal(t, challenge{version: 9}, c)
}

func TestStringsHaveLimits(t *testing.T) {
	long := hello{version: Version, cluster: strings.Repeat("x", MaxCluster+1)}
	_, err := parseHello(long.appendTo(nil)[frameHeader:])
	require.ErrorContains(t, err, "65 bytes, the limit is 64")
	for _, bad := range []string{"\xff", "a\x00b", "a\nb", "\x1b[31m", "\u202e"} {
		h := hello{version: Version, cluster: bad}
		_, err := parseHello(h.appendTo(nil)[frameHeader:])
		require.ErrorContains(t, err, "not printable", "%q", bad)
	}
}

func TestMoreHintsThanTheLimitAreRefused(t *testing.T) {
	h := hello{version: Version, hints: make([]keyID, maxHints+1)}
	_, err := parseHello(h.appendTo(nil)[frameHeader:])
	require.ErrorContains(t, err, "5 key IDs, the limit is 4")
}

func TestUnknownFlagsAreRefused(t *testing.T) {
	b := goldenOpen.appendTo(nil)[frameHeader:]
	b[1] = 0x82
	_, err := parseChallenge(b)
	require.ErrorContains(t, err, "unknown flags")
}

func TestAReasonFromALaterVersionIsStillARefusal(t *testing.T) {
	m, err := parseRefuse([]byte{1, 250})
	require.NoError(t, err)
	require.Equal(t, ReasonNone, m.reason)
}

func TestFramesAreReadByteByByteAndNoFurther(t *testing.T) {
	stream := append(bytes.Clone(goldenHello.appendTo(nil)), "rest"...)
	src := bytes.NewReader(stream)
	in := frameReader{src: iotest.OneByteReader(src), left: MaxUnproven}
	_, _, err := in.next()
	require.NoError(t, err)
	rest, err := io.ReadAll(src)
	require.NoError(t, err)
	require.Equal(t, "rest", string(rest))
}

func TestTheBudgetCoversAllMessagesTogether(t *testing.T) {
	one := appendFrame(nil, frameHello, func(b []byte) []byte { return append(b, make([]byte, 200)...) })
	in := frameReader{src: bytes.NewReader(bytes.Repeat(one, 3)), left: MaxUnproven}
	for range 2 {
		_, _, err := in.next()
		require.NoError(t, err)
	}
	_, _, err := in.next()
	require.Equal(t, Malformed, ReasonOf(err))
	require.ErrorContains(t, err, "before the proof")
}

func TestTheLargestMessagesFit(t *testing.T) {
	h := hello{cluster: strings.Repeat("x", MaxCluster), hints: make([]keyID, maxHints)}
	p := proof{secret: true, name: strings.Repeat("x", MaxName), addr: strings.Repeat("x", MaxAddr)}
	require.LessOrEqual(t, len(h.appendTo(nil))+len(p.appendTo(nil)), MaxUnproven)
	w := welcome{name: p.name, addr: p.addr}
	c := challenge{secret: true, cluster: h.cluster}
	require.LessOrEqual(t, len(c.appendTo(nil))+len(w.appendTo(nil)), MaxUnproven)
}

// TestTheProofHasItsGoldenForm fixes keys, text and MAC for other implementations.
func TestTheProofHasItsGoldenForm(t *testing.T) {
	raw := make([]byte, MinSecretBytes)
	for i := range raw {
		raw[i] = byte(i)
	}
	s, err := newSecret(RoleAny, raw)
	require.NoError(t, err)
	b := binding{role: RolePeer, listener: 0x1112131415161718, dialler: 0x0102030405060708, cluster: "gokv"}
	for i := range b.exporter {
		b.exporter[i] = byte(0xe0 + i%16)
	}
	require.Equal(t, goldenKeyID, s.id.String())
	require.Equal(t, goldenText, hex.EncodeToString(b.appendTo(nil, fromListener, s.id)))
	listener, dialler := b.seal(&s, fromListener), b.seal(&s, fromDialler)
	require.Equal(t, goldenListenerMAC, hex.EncodeToString(listener.mac[:]))
	require.Equal(t, goldenDiallerMAC, hex.EncodeToString(dialler.mac[:]))

	b.role = RoleAdmin
	admin := b.seal(&s, fromListener)
	require.NotEqual(t, listener.mac, admin.mac, "each role has a key of its own")
}

func TestEveryFieldOfABindingChangesTheProof(t *testing.T) {
	s, err := parseSecretLine(NewSecret())
	require.NoError(t, err)
	base := binding{role: RolePeer, listener: 1, dialler: 2, cluster: "c"}
	seen := map[[macSize]byte]string{base.seal(&s, fromListener).mac: "base"}
	for name, change := range map[string]func(b *binding){
		"exporter": func(b *binding) { b.exporter[31] = 1 },
		"role":     func(b *binding) { b.role = RoleAdmin },
		"listener": func(b *binding) { b.listener = 3 },
		"dialler":  func(b *binding) { b.dialler = 3 },
		"swapped":  func(b *binding) { b.listener, b.dialler = b.dialler, b.listener },
		"cluster":  func(b *binding) { b.cluster = "d" },
	} {
		b := base
		change(&b)
		mac := b.seal(&s, fromListener).mac
		require.NotContains(t, seen, mac, name)
		seen[mac] = name
	}
	require.NotContains(t, seen, base.seal(&s, fromDialler).mac, "direction")
}

func FuzzMessages(f *testing.F) {
	for _, c := range codecs {
		f.Add(c.bytes)
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := frameReader{src: bytes.NewReader(data), left: MaxUnproven}
		used := 0
		for {
			kind, body, err := in.next()
			if err != nil {
				require.LessOrEqual(t, used, MaxUnproven)
				return
			}
			used += frameHeader + len(body)
			for _, c := range codecs {
				if c.kind != kind {
					continue
				}
				again, err := c.again(body)
				if err != nil || (len(body) > 0 && body[0] != Version && (kind == frameHello || kind == frameChallenge)) {
					continue
				}
				if kind == frameRefuse && !Reason(body[1]).valid() {
					continue
				}
				// What is understood is understood whole: it encodes to the same bytes.
				require.Equal(t, body, again[frameHeader:])
				require.Equal(t, int(binary.BigEndian.Uint16(again)), len(body)+1)
			}
		}
	})
}

func FuzzSecretFile(f *testing.F) {
	good := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	f.Add([]byte(good))
	f.Add([]byte("# comment\n\npeer " + good + "\r\nadmin " + good + "\n"))
	f.Add([]byte("rw:a,b " + good))
	f.Add([]byte("short c2hvcnQ="))
	f.Fuzz(func(t *testing.T, data []byte) {
		secrets, err := parseSecrets(data)
		if err != nil {
			require.NotContains(t, err.Error(), good)
			return
		}
		require.NotEmpty(t, secrets)
		require.LessOrEqual(t, len(secrets), maxSecrets)
	})
}

// FuzzHandshakes lets a stranger say anything to a listener and anything to a dialler:
// neither may panic, and neither may accept it.
func FuzzHandshakes(f *testing.F) {
	h := hello{version: Version, role: RolePeer, instance: 2, cluster: "c"}
	p := proof{secret: true, sealed: goldenSealed, name: "b"}
	f.Add(append(h.appendTo(nil), p.appendTo(nil)...))
	c := challenge{version: Version, secret: true, instance: 9, cluster: "c", sealed: goldenSealed}
	w := welcome{}
	f.Add(append(c.appendTo(nil), w.appendTo(nil)...))
	f.Add(goldenRefuse.appendTo(nil))
	s, err := parseSecretLine("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	require.NoError(f, err)
	m := &material{secrets: []secret{s}}
	f.Fuzz(func(t *testing.T, data []byte) {
		cs := testConnectionState(t)
		l := accepting{m: m, s: scripted{bytes.NewReader(data)}, cs: cs, own: Hello{Cluster: "c", Instance: 1}}
		l.in = frameReader{src: l.s, left: MaxUnproven}
		_, _, err := l.run(peerOnly, nil)
		require.Error(t, err)
		d := connecting{a: &Authenticator{}, m: m, s: scripted{bytes.NewReader(data)}, cs: cs, own: Hello{Cluster: "c", Instance: 1}}
		d.in = frameReader{src: d.s, left: MaxUnproven}
		_, err = d.run(RolePeer)
		require.Error(t, err)
	})
}

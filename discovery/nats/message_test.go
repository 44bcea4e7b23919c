package nats

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the test vectors")

const vectorsFile = "testdata/messages.json"

// vector is a message as a file spells it, for other implementations too.
type vector struct {
	Name     string `json:"name"`
	Bytes    string `json:"bytes"` // hex
	Version  uint64 `json:"version"`
	Kind     kind   `json:"kind"`
	Cluster  string `json:"cluster"`
	Instance uint64 `json:"instance,string"`
	Host     string `json:"host"`
	Port     uint16 `json:"port"`
}

func (v vector) message() message {
	return message{v.Version, v.Kind, v.Cluster, v.Instance, v.Host, v.Port}
}

func TestMessagesLookLikeTheVectors(t *testing.T) {
	if *update {
		var all []vector
		for _, v := range []vector{
			{Name: "request", Version: 1, Kind: request, Cluster: "gokv", Instance: 1, Host: "10.0.0.1", Port: 7946},
			{Name: "answer of IPv6", Version: 1, Kind: answer, Cluster: "gokv", Instance: 1<<64 - 1, Host: "2001:db8::1", Port: 65535},
			{Name: "hello by name", Version: 1, Kind: hello, Cluster: strings.Repeat("c", 64), Instance: 0, Host: "a.example", Port: 1},
			{Name: "goodbye", Version: 1, Kind: goodbye, Cluster: "wörld", Instance: 23, Host: "node-1", Port: 24},
		} {
			b, err := v.message().encode()
			require.NoError(t, err)
			v.Bytes = hex.EncodeToString(b)
			all = append(all, v)
		}
		text, err := json.MarshalIndent(all, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(vectorsFile, append(text, '\n'), 0o644))
	}
	text, err := os.ReadFile(vectorsFile)
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(text, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		want, err := hex.DecodeString(v.Bytes)
		require.NoError(t, err)
		got, err := v.message().encode()
		require.NoError(t, err, v.Name)
		require.Equal(t, want, got, v.Name)
		m, err := decode(want)
		require.NoError(t, err, v.Name)
		require.Equal(t, v.message(), m, v.Name)
		for n := range want {
			_, err := decode(want[:n])
			require.Error(t, err, "%s, cut after %d bytes", v.Name, n)
		}
	}
}

func TestEveryMessageComesBackAsItWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message{
			Version:  rapid.Uint64Range(1, 9).Draw(t, "version"),
			Kind:     kind(rapid.Uint64Range(1, 9).Draw(t, "kind")),
			Cluster:  rapid.StringN(1, 64, 64).Draw(t, "cluster"),
			Instance: rapid.Uint64().Draw(t, "instance"),
			Host:     rapid.StringMatching(`[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,2}`).Draw(t, "host"),
			Port:     rapid.Uint16Min(1).Draw(t, "port"),
		}
		b, err := m.encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), maxMessageBytes)
		got, err := decode(b)
		require.NoError(t, err)
		require.Equal(t, m, got)
	})
}

// fields is a message that is right, to be spoilt.
func fields() map[any]any {
	return map[any]any{1: 1, 2: 3, 3: "gokv", 4: 5, 5: "10.0.0.1", 6: 7946}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	encode := func(v any) []byte {
		b, err := cbor.Marshal(v)
		require.NoError(t, err)
		return b
	}
	with := func(key, value any) []byte {
		m := fields()
		m[key] = value
		return encode(m)
	}
	without := func(key any) []byte {
		m := fields()
		delete(m, key)
		return encode(m)
	}
	_, err := decode(encode(fields()))
	require.NoError(t, err)

	valid := encode(fields())
	duplicate := append([]byte{0xa7}, append(append([]byte{}, valid[1:]...), 0x06, 0x07)...)
	twiceUnknown := append([]byte{0xa8}, append(append([]byte{}, valid[1:]...), 0x18, 0x63, 0x07, 0x18, 0x63, 0x08)...)
	indefinite := append(append([]byte{0xbf}, valid[1:]...), 0xff)
	for name, b := range map[string][]byte{
		"nothing":                     {},
		"null":                        {0xf6},
		"a text":                      encode("hello"),
		"an array":                    encode([]any{1, 3, "gokv", 5, "10.0.0.1", 7946}),
		"an empty map":                encode(map[int]int{}),
		"JSON":                        []byte(`{"1":1,"2":3}`),
		"a key twice":                 duplicate,
		"an unknown key twice":        twiceUnknown,
		"a map of indefinite length":  indefinite,
		"bytes after the end":         append(append([]byte{}, valid...), 0),
		"another message after it":    append(append([]byte{}, valid...), valid...),
		"over 512 bytes":              with(99, strings.Repeat("x", 512)),
		"no version":                  without(1),
		"version 0":                   with(1, 0),
		"a negative version":          with(1, -1),
		"no kind":                     without(2),
		"a kind that is text":         with(2, "hello"),
		"no cluster":                  without(3),
		"a cluster of bytes":          with(3, []byte("gokv")),
		"a cluster that is too long":  with(3, strings.Repeat("c", 65)),
		"a cluster that is not UTF-8": append(append(append([]byte{0xa6, 1, 1, 2, 3, 3}, 0x61, 0xff), 4, 5, 5), append([]byte{0x61, 'a'}, 6, 7)...),
		"an instance of a fraction":   with(4, 1.5),
		"an instance over 64 bits":    append([]byte{0xa6}, append(append([]byte{}, without(4)[1:]...), 4, 0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0)...),
		"no host":                     without(5),
		"a host with a port":          with(5, "10.0.0.1:80"),
		"a host with a space":         with(5, "a b"),
		"a host with a line's end":    with(5, "a\n"),
		"a host of dots":              with(5, "a..b"),
		"any host":                    with(5, "0.0.0.0"),
		"any host of IPv6":            with(5, "::"),
		"everybody":                   with(5, "224.0.0.1"),
		"a zone of somebody else":     with(5, "fe80::1%eth0"),
		"a host that is too long":     with(5, strings.Repeat("a.", 127)),
		"no port":                     without(6),
		"port 0":                      with(6, 0),
		"port 65536":                  with(6, 65536),
		"a tag":                       append([]byte{0xd9, 0xd9, 0xf7}, valid...),
		"deep nesting":                with(99, []any{[]any{[]any{[]any{[]any{1}}}}}),
	} {
		m, err := decode(b)
		require.Error(t, err, "%s gives %+v", name, m)
	}
}

func TestWhatLaterVersionsAddIsPassedOver(t *testing.T) {
	m := fields()
	m[1], m[7], m[-1], m["zone"] = 2, []any{"x", 1}, map[int]int{1: 2}, "eu"
	b, err := cbor.Marshal(m)
	require.NoError(t, err)
	got, err := decode(b)
	require.NoError(t, err)
	require.Equal(t, message{2, hello, "gokv", 5, "10.0.0.1", 7946}, got)

	m[2] = 77
	b, err = cbor.Marshal(m)
	require.NoError(t, err)
	got, err = decode(b)
	require.NoError(t, err)
	require.Equal(t, "kind 77", got.Kind.String())
}

func FuzzMessage(f *testing.F) {
	text, err := os.ReadFile(vectorsFile)
	require.NoError(f, err)
	var vectors []vector
	require.NoError(f, json.Unmarshal(text, &vectors))
	for _, v := range vectors {
		b, err := hex.DecodeString(v.Bytes)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		require.NoError(t, checkHost(m.Host))
		again, err := m.encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(again), maxMessageBytes)
		got, err := decode(again)
		require.NoError(t, err)
		require.Equal(t, m, got)
		twice, err := got.encode()
		require.NoError(t, err)
		require.Equal(t, again, twice)
	})
}

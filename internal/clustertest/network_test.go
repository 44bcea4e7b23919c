package clustertest

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hears says whether a datagram sent by one socket arrives at the other. A mark
// that nothing can hold up follows it, so that no time has to pass to know that it
// was swallowed.
func hears(t *testing.T, n *Network, from, to *Conn) bool {
	t.Helper()
	before := n.Dropped()
	_, err := from.WriteTo([]byte("question"), to.LocalAddr())
	require.NoError(t, err)
	outside, err := net.Dial("udp", to.LocalAddr().String())
	require.NoError(t, err)
	defer outside.Close()
	_, err = outside.Write([]byte("mark"))
	require.NoError(t, err)

	require.NoError(t, to.SetReadDeadline(time.Now().Add(30*time.Second)))
	b := make([]byte, 100)
	size, _, err := to.ReadFrom(b)
	require.NoError(t, err)
	if string(b[:size]) == "mark" {
		require.Equal(t, before+1, n.Dropped())
		return false
	}
	_, _, err = to.ReadFrom(b) // the mark
	require.NoError(t, err)
	return true
}

func listen(t *testing.T, n *Network, name string) *Conn {
	t.Helper()
	c, err := n.Listen(name, "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestASplitCutsBothWaysAndHeals(t *testing.T) {
	n := NewNetwork()
	a, b, c := listen(t, n, "a"), listen(t, n, "b"), listen(t, n, "c")
	require.True(t, hears(t, n, a, b))

	n.Split([][]string{{"a"}, {"b", "c"}})
	require.False(t, hears(t, n, a, b))
	require.False(t, hears(t, n, c, a))
	require.True(t, hears(t, n, b, c))

	n.Heal()
	require.True(t, hears(t, n, a, b))
	require.True(t, hears(t, n, c, a))
}

func TestANodeInNoGroupReachesAll(t *testing.T) {
	n := NewNetwork()
	a, b, c := listen(t, n, "a"), listen(t, n, "b"), listen(t, n, "c")
	n.Split([][]string{{"a"}, {"b"}})
	require.False(t, hears(t, n, a, b))
	require.True(t, hears(t, n, c, a))
	require.True(t, hears(t, n, b, c))
}

func TestACutIsOneWay(t *testing.T) {
	n := NewNetwork()
	a, b := listen(t, n, "a"), listen(t, n, "b")
	n.Cut("a", "b")
	require.False(t, hears(t, n, a, b))
	require.True(t, hears(t, n, b, a))
}

func TestPayloadIsCountedAndWhatIsDroppedIsNot(t *testing.T) {
	n := NewNetwork()
	a, b := listen(t, n, "a"), listen(t, n, "b")
	require.True(t, hears(t, n, a, b))
	require.EqualValues(t, len("question"), n.Sent())
	require.EqualValues(t, 1, n.Packets())

	a.Silence()
	require.False(t, hears(t, n, a, b))
	require.EqualValues(t, len("question"), n.Sent())
}

func TestASilentNodeHearsNothing(t *testing.T) {
	n := NewNetwork()
	a, b := listen(t, n, "a"), listen(t, n, "b")
	b.Silence()
	_, err := a.WriteTo([]byte("question"), b.LocalAddr())
	require.NoError(t, err)
	require.NoError(t, b.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, _, err = b.ReadFrom(make([]byte, 100))
	require.Error(t, err)
	require.EqualValues(t, 1, n.Dropped())
}

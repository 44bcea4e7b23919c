package mux

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const testLimit = 4 << 20

// split2 is a message with a head and a tail.
type split2 struct{ head, tail []byte }

func (m split2) HeadSize() int                { return len(m.head) }
func (m split2) AppendHead(dst []byte) []byte { return append(dst, m.head...) }
func (m split2) Tail() []byte                 { return m.tail }

func TestAFrameIsLengthIDKindBody(t *testing.T) {
	got := AppendFrame(nil, 0x01020304, 0x80, split2{[]byte("he"), []byte("llo")})
	require.Equal(t, []byte("\x00\x00\x00\x0a\x01\x02\x03\x04\x80hello"), got)

	r := NewReader(bytes.NewReader(got), testLimit)
	f, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, Frame{ID: 0x01020304, Kind: 0x80, Body: []byte("hello")}, f)
	_, err = r.Next()
	require.Equal(t, io.EOF, err)
}

func TestEveryTruncationOfAFrameIsUnexpected(t *testing.T) {
	for _, size := range []int{0, 1, 100, fullBuffer - headerSize, fullBuffer, firstLarge + 100} {
		whole := AppendFrame(AppendFrame(nil, 1, 2, Bytes("first")), 3, 4, Bytes(make([]byte, size)))
		first := headerSize + len("first")
		step := max(1, (len(whole)-first)/500)
		for n := first + 1; n < len(whole); n += step {
			r := NewReader(bytes.NewReader(whole[:n]), testLimit)
			_, err := r.Next()
			require.NoError(t, err)
			_, err = r.Next()
			require.Equal(t, io.ErrUnexpectedEOF, err, "%d of %d bytes", n, len(whole))
			_, err = r.Next()
			require.Error(t, err)
		}
	}
}

func TestFramesSurviveAnyReadsAndSizes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 5, 90, 4096, 65_000, fullBuffer, firstLarge - 5, firstLarge + 1, 1_100_000}), 1, 6).Draw(t, "sizes")
		owned := rapid.Bool().Draw(t, "owned")
		chunk := rapid.IntRange(1, 200_000).Draw(t, "chunk")
		var stream []byte
		for i, n := range sizes {
			stream = AppendFrame(stream, uint32(i), byte(i), Bytes(bytes.Repeat([]byte{byte(i + 1)}, n)))
		}
		var src io.Reader = &chunks{rest: stream, size: chunk}
		if rapid.Bool().Draw(t, "error with data") {
			src = iotest.DataErrReader(src)
		}
		r := NewReader(src, testLimit)
		var kept [][]byte
		for i, n := range sizes {
			next := r.Next
			if owned {
				next = r.NextOwned
			}
			f, err := next()
			require.NoError(t, err)
			require.Equal(t, uint32(i), f.ID)
			require.Len(t, f.Body, n)
			require.Equal(t, n, bytes.Count(f.Body, []byte{byte(i + 1)}))
			kept = append(kept, f.Body)
		}
		_, err := r.Next()
		require.Equal(t, io.EOF, err)
		if owned { // later frames must not have touched earlier bodies
			for i, b := range kept {
				require.Equal(t, len(b), bytes.Count(b, []byte{byte(i + 1)}))
			}
		}
		require.LessOrEqual(t, len(r.buf), fullBuffer)
	})
}

// chunks returns at most size bytes a read.
type chunks struct {
	rest  []byte
	size  int
	reads int
}

func (c *chunks) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	c.reads++
	n := copy(b, c.rest[:min(c.size, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}

func TestOneReadServesManyFrames(t *testing.T) {
	var stream []byte
	for i := range 100 {
		stream = AppendFrame(stream, uint32(i), 1, Bytes("0123456789"))
	}
	src := &chunks{rest: stream, size: len(stream)}
	r := NewReader(src, testLimit)
	for i := range 100 {
		_, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, i < 99, r.Ready())
	}
	require.Equal(t, 1, src.reads)
}

func TestALengthOutOfBoundsEndsTheStream(t *testing.T) {
	for _, c := range []struct {
		stream string
		id     uint32
		long   bool
		text   string
	}{
		{"\x00\x00\x00\x04....", 0, false, "frame of 4 bytes, the least is 5: bad frame"},
		{"\x00\x00\x00\x00", 0, false, "frame of 0 bytes, the least is 5: bad frame"},
		{"\x00\x40\x00\x01\x00\x00\x00\x07\x01", 7, true, "frame of 4194305 bytes, the limit is 4194304: bad frame"},
		{"\xff\xff\xff\xff", 0, true, "frame of 4294967295 bytes, the limit is 4194304: bad frame"},
	} {
		r := NewReader(strings.NewReader(c.stream), testLimit)
		_, err := r.Next()
		var bad *LengthError
		require.ErrorAs(t, err, &bad)
		require.ErrorIs(t, err, ErrFrame)
		require.Equal(t, c.id, bad.ID)
		require.Equal(t, c.long, bad.TooLong())
		require.EqualError(t, err, c.text)
		require.True(t, r.Ready(), "the error is there without a read")
	}
}

func TestAHeaderAloneClaimsNoMemory(t *testing.T) {
	header := []byte{0x00, 0x3f, 0xff, 0xff, 0, 0, 0, 1, 1}
	r := NewReader(bytes.NewReader(append(header, make([]byte, 1000)...)), testLimit)
	_, err := r.Next()
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.LessOrEqual(t, len(*r.large), firstLarge)
}

func TestASourceWithoutProgressIsGivenUp(t *testing.T) {
	r := NewReader(stuck{}, testLimit)
	_, err := r.Next()
	require.Equal(t, io.ErrNoProgress, err)

	broken := errors.New("broken")
	_, err = NewReader(iotest.ErrReader(broken), testLimit).Next()
	require.Equal(t, broken, err)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// FuzzReader checks that any bytes become frames that encode to the same bytes,
// then an error, in reads of any size, with and without copies.
func FuzzReader(f *testing.F) {
	f.Add([]byte{}, uint16(1), false)
	f.Add(AppendFrame(nil, 1, 2, Bytes("body")), uint16(3), true)
	f.Add(AppendFrame(AppendFrame(nil, 1, 2, Bytes(nil)), 3, 4, Bytes("second")), uint16(100), false)
	f.Add([]byte{0, 0, 0, 4, 1, 2, 3, 4}, uint16(8), false)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}, uint16(8), true)
	f.Fuzz(func(t *testing.T, stream []byte, chunk uint16, owned bool) {
		const limit = 1 << 10
		r := NewReader(&chunks{rest: stream, size: int(chunk) + 1}, limit)
		var again []byte
		for {
			next := r.Next
			if owned {
				next = r.NextOwned
			}
			f, err := next()
			if err != nil {
				rest := stream[len(again):]
				switch {
				case errors.Is(err, io.EOF):
					require.Empty(t, rest)
				case errors.Is(err, io.ErrUnexpectedEOF):
					require.NotEmpty(t, rest)
				default:
					require.ErrorIs(t, err, ErrFrame)
				}
				return
			}
			require.LessOrEqual(t, len(f.Body), limit-minLength)
			again = AppendFrame(again, f.ID, f.Kind, Bytes(f.Body))
			require.Equal(t, stream[:len(again)], again)
		}
	})
}

package debindex

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

const twoStanzas = `Package: 0ad
Version: 1:0.0.26-3+b1~rc
Architecture: amd64
Tag: game::strategy,
 uitoolkit::sdl
Description: Real-time strategy game

Package: zzuf
Architecture: all
Version: 0.15
`

func readAll(t *testing.T, r io.Reader) []Package {
	t.Helper()
	var all []Package
	in := NewReader(r)
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		p.Text = []byte(string(p.Text))
		all = append(all, p)
	}
}

func TestStanzasComeWithTheirBytesAndKeys(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"whole":            strings.NewReader(twoStanzas),
		"a byte at a time": iotest.OneByteReader(strings.NewReader(twoStanzas)),
		"no final newline": strings.NewReader(strings.TrimSuffix(twoStanzas, "\n")),
		"blank lines":      strings.NewReader("\n \n" + strings.Replace(twoStanzas, "\n\n", "\n\n \t\n\n", 1) + "\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			all := readAll(t, r)
			require.Len(t, all, 2)
			require.Equal(t, "deb/0ad/1:0.0.26-3+b1~rc/amd64", all[0].Key())
			require.Equal(t, "deb/zzuf/0.15/all", all[1].Key())
			first, second, _ := strings.Cut(twoStanzas, "\n\n")
			require.Equal(t, first, string(all[0].Text))
			require.Equal(t, strings.TrimSuffix(second, "\n"), string(all[1].Text))
		})
	}
}

func TestAnEmptyIndexHasNoStanza(t *testing.T) {
	require.Empty(t, readAll(t, strings.NewReader("")))
	require.Empty(t, readAll(t, strings.NewReader("\n\n  \n")))
}

func TestEachErrorNamesTheLine(t *testing.T) {
	ok := "Package: a\nVersion: 1\nArchitecture: all\n\n"
	for _, c := range []struct{ name, index, want string }{
		{"no version", ok + "Package: b\nArchitecture: all\n", "line 5: the stanza that begins here has no Version field"},
		{"no package", "Version: 1\nArchitecture: all\n", "line 1: the stanza that begins here has no Package field"},
		{"no architecture", "Package: a\nVersion: 1\n", "line 1: the stanza that begins here has no Architecture field"},
		{"a field twice", ok + "Package: b\nVersion: 1\nVersion: 2\n", "line 7: a second Version field"},
		{"an empty field", "Package:\nVersion: 1\n", "line 1: the Package field is empty"},
		{"no field at all", ok + "Package: b\nnonsense\n", "line 6: neither a field nor a continuation"},
		{"a continuation first", ok + " b\n", "line 5: a continuation line with nothing before it"},
		{"too long", ok + "Package: " + strings.Repeat("x", MaxStanza), "line 5: the stanza is longer than the limit of 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := NewReader(strings.NewReader(c.index))
			var err error
			for err == nil {
				_, err = in.Next()
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAReadErrorIsPassedOn(t *testing.T) {
	broken := errors.New("pipe broke")
	_, err := NewReader(iotest.ErrReader(broken)).Next()
	require.ErrorIs(t, err, broken)
}

func TestAStanzaOfTheLimitPasses(t *testing.T) {
	head := "Package: a\nVersion: 1\nArchitecture: all\nDescription: "
	all := readAll(t, strings.NewReader(head+strings.Repeat("x", MaxStanza-len(head))))
	require.Len(t, all, 1)
	require.Len(t, all[0].Text, MaxStanza)
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(twoStanzas))
	f.Add([]byte("Package: a\nVersion: 1\n b\n\n\n"))
	f.Fuzz(func(t *testing.T, index []byte) {
		in := NewReader(strings.NewReader(string(index)))
		for {
			p, err := in.Next()
			if err != nil {
				return
			}
			require.NotEmpty(t, p.Name)
			require.NotEmpty(t, p.Version)
			require.NotEmpty(t, p.Architecture)
			require.Contains(t, string(index), string(p.Text))
		}
	})
}

package discovery_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheExamplesProviderPassesTheSuite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "peers")
	require.NoError(t, os.Mkdir(dir, 0o700))
	away := dir + "-away"
	discoverytest.Run(t, discoverytest.Harness{
		New: func(*testing.T, discovery.Self) discovery.Provider { return &directory{path: dir} },
		Break: func(t *testing.T) { // a file where the directory was: the volume is gone
			require.NoError(t, os.Rename(dir, away))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		},
		Mend: func(t *testing.T) {
			require.NoError(t, os.Remove(dir))
			require.NoError(t, os.Rename(away, dir))
		},
	})
}

func TestTheExamplesProviderHasTwentyLinesAtMost(t *testing.T) {
	text, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	formatted, err := format.Source(text)
	require.NoError(t, err)
	require.True(t, bytes.Equal(formatted, text), "example_test.go is not as gofmt leaves it")

	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "example_test.go", text, parser.SkipObjectResolution)
	require.NoError(t, err)
	lines := 0
	for _, d := range file.Decls {
		f, isFunc := d.(*ast.FuncDecl)
		g, isType := d.(*ast.GenDecl)
		if isFunc && f.Recv != nil || isType && g.Tok == token.TYPE {
			lines += set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1
		}
	}
	t.Logf("the type and its methods have %d lines", lines)
	require.LessOrEqual(t, lines, 20)
	require.Greater(t, lines, 6)
}

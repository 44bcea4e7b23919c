package discovery_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What docs/discovery.md shows is fed to the daemon and to the compiler.

var (
	block  = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")
	flag   = regexp.MustCompile("--[a-z][a-z0-9-]*")
	row    = regexp.MustCompile("(?m)^\\| `--([a-z0-9-]+)` \\| `([A-Z0-9_]+)` \\| `(\\w+)\\.Config\\.(\\w+)` \\| (.*?) \\|")
	helped = regexp.MustCompile(`(?m)^ +(?:-\w, |    )?--([a-z][a-z0-9-]*)`)
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/discovery.md")
	require.NoError(t, err)
	return string(text)
}

// blocks returns the page's fenced blocks of a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, m := range block.FindAllStringSubmatch(page(t), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	require.NotEmpty(t, found, "no %s in the page", language)
	return found
}

// inModule runs a command at the module's root.
func inModule(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

func TestTheDaemonTakesWhatTheDocumentationShows(t *testing.T) {
	if testing.Short() {
		t.Skip("builds gokv-node")
	}
	node := filepath.Join(t.TempDir(), "gokv-node")
	inModule(t, "go", "build", "-o", node, "./cmd/gokv-node")

	t.Run("every flag", func(t *testing.T) {
		var known []string
		for _, m := range helped.FindAllStringSubmatch(inModule(t, node, "--help"), -1) {
			known = append(known, "--"+m[1])
		}
		require.Contains(t, known, "--peer-addr", "the help is read wrongly")
		for _, f := range flag.FindAllString(withoutForeign(page(t)), -1) {
			require.Contains(t, known, f)
		}
	})
	t.Run("every variable and default", func(t *testing.T) {
		reference, err := os.ReadFile("../docs/configuration.md")
		require.NoError(t, err)
		rows := row.FindAllStringSubmatch(page(t), -1)
		require.Greater(t, len(rows), 20)
		for _, m := range rows {
			require.Equal(t, "GOKV_"+strings.ToUpper(strings.ReplaceAll(m[1], "-", "_")), m[2])
			if _, after, ok := strings.Cut(string(reference), "| `--"+m[1]+"` | `"+m[2]+"` | "); ok {
				def, _, _ := strings.Cut(after, " |")
				if plain := regexp.MustCompile(`^[0-9a-z.]+$`); plain.MatchString(def) && plain.MatchString(m[5]) && m[5] != "needed" {
					require.Equal(t, def, m[5], "the default of --%s", m[1])
				}
			}
		}
	})
	// With --version the daemon judges its settings and starts nothing.
	t.Run("every command", func(t *testing.T) {
		for _, b := range blocks(t, "sh") {
			for line := range strings.Lines(b) {
				args := strings.Fields(line)
				require.Equal(t, "gokv-node", args[0])
				inModule(t, node, append(args[1:], "--version")...)
			}
		}
	})
	t.Run("every file", func(t *testing.T) {
		for i, b := range blocks(t, "yaml") {
			file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.yaml", i))
			require.NoError(t, os.WriteFile(file, []byte(b), 0o600))
			inModule(t, node, "--config", file, "--version")
		}
	})
}

// withoutForeign leaves out the blocks in which other programs have flags.
func withoutForeign(page string) string {
	return regexp.MustCompile("(?ms)^```\n.*?^```$").ReplaceAllString(page, "")
}

// snippet is a function around each piece of Go on the page.
const snippet = `
func _() error {
	var newProvider func(discovery.Self) discovery.Provider
	var service interface { Set([]string); Stop(); Start() }
	var t *testing.T
	var node *gokv.Node
	_, _, _, _ = newProvider, service, t, node
	{
%s
	_ = node
	}
	return nil
}
`

func TestTheGoOfTheDocumentationCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every provider")
	}
	var body strings.Builder
	for _, b := range blocks(t, "go") {
		// What is declared and not used is no mistake on a page.
		b = strings.ReplaceAll(b, "node, err := gokv.NewNode", "node, err = gokv.NewNode")
		b = "\tvar err error\n" + strings.ReplaceAll(b, "provider, err := ", "var provider discovery.Provider\n\tprovider, err = ")
		fmt.Fprintf(&body, snippet, b+"\n\tif err != nil {\n\t\treturn err\n\t}")
	}
	// And each field of the tables exists.
	body.WriteString("\nvar _ = []any{\n")
	for _, m := range row.FindAllStringSubmatch(page(t), -1) {
		fmt.Fprintf(&body, "\t%s.Config{}.%s,\n", m[3], m[4])
	}
	body.WriteString("}\n\nfunc main() {}\n")

	file := new(bytes.Buffer)
	file.WriteString("package main\n\nimport (\n\t\"testing\"\n\n")
	for _, name := range []string{"", "discovery", "discovery/discoverytest", "discovery/dns", "discovery/kubernetes", "discovery/nats", "discovery/static"} {
		short := name[strings.LastIndex(name, "/")+1:]
		if name == "" || slices.Contains([]string{"discovery"}, name) || strings.Contains(body.String(), short+".") {
			fmt.Fprintf(file, "\t%q\n", strings.TrimSuffix("github.com/tochemey/gokv/"+name, "/"))
		}
	}
	file.WriteString(")\n")
	file.WriteString(body.String())

	main := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(main, file.Bytes(), 0o600))
	inModule(t, "go", "build", "-o", os.DevNull, main)
}

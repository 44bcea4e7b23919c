package gokv_test

// The house's rules, as tests: who may import whom, what the pure packages may
// not call, what stands in every package.

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tochemey/gokv"

// mayImport lists, for each package, which packages of this module it may import
// outside its tests. A name that ends in /... stands for all below it. A package
// that is not listed has no place in the house yet: give it one.
var mayImport = map[string][]string{
	".":                       {"engine", "merkle", "membership", "transport", "client", "client/wire", "discovery", "internal/..."},
	"discovery":               {},
	"discovery/static":        {"discovery", "internal/hostlist"},
	"discovery/dns":           {"discovery"},
	"discovery/nats":          {"discovery"},
	"discovery/kubernetes":    {"discovery"},
	"discovery/dns/dnstest":   {},
	"discovery/nats/natstest": {},
	"discovery/discoverytest": {"discovery"},
	"internal/hostlist":       {"discovery"},
	"internal/setting":        {},
	"internal/bootstrap":      {},
	"engine":                  {"merkle", "internal/causal", "internal/invariant", "internal/slab", "internal/reftree"},
	"merkle":                  {"internal/invariant"},
	"membership":              {"internal/invariant"},
	"transport":               {"internal/mux", "internal/auth"},
	"client":                  {"client/wire", "internal/mux", "internal/auth"},
	"client/wire":             {},
	"internal/auth":           {},
	"internal/auth/authtest":  {},
	"internal/mux":            {},
	"internal/benchfig":       {},
	"internal/causal":         {},
	"internal/replica":        {"engine", "merkle", "internal/causal", "internal/invariant"},
	"internal/invariant":      {},
	"internal/reftree":        {},
	"internal/sim":            {},
	"internal/slab":           {"internal/invariant"},
	"internal/simcluster":     {"engine", "merkle", "membership", "internal/bootstrap", "internal/causal", "internal/replica", "internal/sim", "internal/invariant"},
	"internal/debindex":       {},
	"internal/kubetest":       {},
	"internal/clustertest":    {".", "client", "client/wire"},
	"cmd/gokv-node":           {".", "internal/setting", "discovery/..."},
	"cmd/gokv":                {".", "client", "client/wire", "internal/auth"},
	"bench":                   {".", "client", "engine", "merkle", "internal/benchfig", "internal/debindex", "internal/clustertest"},
	"e2e":                     {},
	"deploy":                  {},
}

// testsMayImport holds for every package's tests, besides what the package itself
// may import.
var testsMayImport = []string{".", "discovery", "discovery/discoverytest", "discovery/dns/dnstest", "discovery/nats/natstest", "client", "client/...", "engine", "merkle", "membership", "internal/..."}

// Packages that are told the time and given their randomness. What is named in
// shells may do otherwise: it drives the machine of its package.
var (
	pure  = []string{"membership", "merkle", "client/wire", "internal/causal", "internal/reftree", "internal/replica", "internal/bootstrap", "internal/sim", "internal/simcluster"}
	timed = []string{"engine"} // a concurrent structure, told the time nevertheless

	shells = []string{"membership/loop.go"}

	noImport = []string{"net", "net/...", "os", "os/...", "crypto/tls", "crypto/rand", "github.com/quic-go/quic-go", "github.com/quic-go/quic-go/..."}
	noTime   = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
)

// listed is the part of `go list -json` that the rules read.
type listed struct {
	ImportPath, Dir, Name              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
	Standard                           bool
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json"}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	require.NoError(t, err)
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

// ours returns the path inside the module, "." for the root.
func ours(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		below, all := strings.CutSuffix(p, "/...")
		return p == name || all && strings.HasPrefix(name, below+"/")
	})
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name, _ := ours(p.ImportPath)
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s: not in mayImport: say there what it may import", name)
			continue
		}
		for _, i := range p.Imports {
			if i, ok := ours(i); ok && !matches(allowed, i) {
				t.Errorf("%s imports %s: it may import %v", name, i, allowed)
			}
		}
		for _, i := range slices.Concat(p.TestImports, p.XTestImports) {
			if i, ok := ours(i); ok && i != name && !matches(allowed, i) && !matches(testsMayImport, i) {
				t.Errorf("a test of %s imports %s: tests may import %v", name, i, testsMayImport)
			}
		}
	}
}

func TestAProgramThatEmbedsGokvLinksNoCommandLine(t *testing.T) {
	forbidden := []string{
		"testing", "flag",
		"github.com/spf13/...", "github.com/schollz/...", "charm.land/...", "go.yaml.in/...",
		"github.com/stretchr/...", "pgregory.net/...", "github.com/cockroachdb/...", "github.com/rogpeppe/...",
		"k8s.io/...", "github.com/nats-io/...", "github.com/miekg/...",
	}
	for _, p := range goList(t, "-deps", ".") {
		if matches(forbidden, p.ImportPath) {
			t.Errorf("the root package links %s", p.ImportPath)
		}
	}
	for _, p := range goList(t, "-deps", "./client") {
		name, _ := ours(p.ImportPath)
		if matches(append(forbidden, "github.com/prometheus/..."), p.ImportPath) || matches([]string{".", "engine", "membership", "transport"}, name) {
			t.Errorf("package client links %s", p.ImportPath)
		}
	}
}

func TestPureCodeReadsNoClockDrawsNoLotsAndStartsNothing(t *testing.T) {
	for _, name := range slices.Concat(pure, timed) {
		for _, file := range goFiles(t, name) {
			if strings.HasSuffix(file, "_test.go") || slices.Contains(shells, file) {
				continue
			}
			checkPure(t, file, slices.Contains(pure, name))
		}
	}
}

// checkPure reports what a file of a pure package may not do. Where strict is
// false goroutines are its own affair.
func checkPure(t *testing.T, file string, strict bool) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	report := func(n ast.Node, what string) { t.Errorf("%s: %s", set.Position(n.Pos()), what) }

	packages := map[string]string{} // by the name that the file calls them
	for _, i := range tree.Imports {
		at, err := strconv.Unquote(i.Path.Value)
		require.NoError(t, err)
		if matches(noImport, at) {
			report(i, "imports "+at)
		}
		name := path.Base(at)
		if name == "v2" {
			name = path.Base(path.Dir(at))
		}
		if i.Name != nil {
			name = i.Name.Name
		}
		packages[name] = at
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if strict {
				report(n, "starts a goroutine")
			}
		case *ast.SelectStmt:
			if strict {
				report(n, "selects: the scheduler would decide")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			switch packages[x.Name] {
			case "time":
				if slices.Contains(noTime, n.Sel.Name) {
					report(n, "calls time."+n.Sel.Name+": take the time as an argument")
				}
			case "math/rand", "math/rand/v2":
				// Types and constructors give a source of one's own; the rest
				// draws from the process's.
				if !strings.HasPrefix(n.Sel.Name, "New") && !slices.Contains([]string{"Rand", "Source", "PCG", "ChaCha8", "Zipf"}, n.Sel.Name) {
					report(n, "calls rand."+n.Sel.Name+": take a *rand.Rand")
				}
			}
		}
		return true
	})
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name, _ := ours(p.ImportPath)
		if len(p.GoFiles) == 0 && name == "." {
			continue
		}
		file := filepath.Join(p.Dir, "doc.go")
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		begins := "Package " + p.Name + " "
		if p.Name == "main" {
			begins = "Command " + path.Base(name) + " "
		}
		if doc := tree.Doc.Text(); len(doc) < 200 || !strings.HasPrefix(doc, begins) {
			t.Errorf("%s: doc.go begins with %q and says what the package is for and not for, its types, concurrency and limits", name, begins)
		}
	}
}

func TestNothingIsLeftUnfinished(t *testing.T) {
	// Put together here, so that the rule does not find itself.
	unfinished := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b|(?i:not (yet )?imple` + `mented)`)
	for _, file := range goFiles(t, ".") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			if unfinished.MatchString(line) {
				t.Errorf("%s:%d: announces something unfinished", file, i+1)
			}
		}
	}
}

// A test waits for events; it sleeps in virtual time alone: in a function that
// opens a bubble of testing/synctest, itself or through a helper of its package.
func TestTestsSleepInVirtualTimeAlone(t *testing.T) {
	byDir := map[string][]*ast.FuncDecl{}
	set := token.NewFileSet()
	for _, file := range goFiles(t, ".") {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				byDir[path.Dir(file)] = append(byDir[path.Dir(file)], f)
			}
		}
	}
	for _, functions := range byDir {
		bubbles := []string{"synctest.Test"}
		for _, f := range functions {
			if f.Recv == nil && len(callsOf(f, "synctest.Test")) > 0 {
				bubbles = append(bubbles, f.Name.Name)
			}
		}
		for _, f := range functions {
			if len(callsOf(f, bubbles...)) > 0 {
				continue
			}
			for _, sleep := range callsOf(f, "time.Sleep") {
				t.Errorf("%s: a test sleeps: wait for the event, or use testing/synctest", set.Position(sleep.Pos()))
			}
		}
	}
}

// callsOf returns the calls in f of the named functions, "name" or "package.Name".
func callsOf(f *ast.FuncDecl, names ...string) []*ast.CallExpr {
	var calls []*ast.CallExpr
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := ""
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			name = fun.Name
		case *ast.SelectorExpr:
			if x, ok := fun.X.(*ast.Ident); ok {
				name = x.Name + "." + fun.Sel.Name
			}
		}
		if slices.Contains(names, name) {
			calls = append(calls, call)
		}
		return true
	})
	return calls
}

// goFiles returns every Go file of this module at or below root, with slashes.
func goFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	require.NoError(t, filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." {
			if strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own
			}
		}
		if filepath.Ext(file) == ".go" {
			files = append(files, filepath.ToSlash(file))
		}
		return nil
	}))
	require.NotEmpty(t, files, root)
	return files
}

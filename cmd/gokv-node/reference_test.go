package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// reference is docs/configuration.md as the table has it.
func reference(rows []gokv.Setting) string {
	var b strings.Builder
	b.WriteString(`# Configuration

Every setting of gokv-node is a flag, an environment variable and a key of the YAML file that ` + "`--config`" + ` (or GOKV_CONFIG) names. A flag beats the environment, which beats the file. An unknown flag or key, or a bad value, stops the start with one line that names it; unknown environment variables are left alone. This page is written from the table that all of them come from (` + "`go test ./cmd/gokv-node -run TestReference -update`" + `). What the settings of ` + "`--discovery`" + ` mean together is in [discovery](discovery.md).

| flag and YAML key | environment | default | meaning |
|---|---|---|---|
`)
	for _, r := range rows {
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", r.Name, r.Env(), r.Default, strings.ReplaceAll(r.Usage, "`", ""))
	}
	b.WriteString(`
` + "`--config`" + ` (GOKV_CONFIG) and ` + "`--version`" + ` are no keys of the file. The log goes to stderr.

In YAML a list is a sequence or one string with commas:

` + "```yaml" + `
name: a
peer-addr: 10.0.0.1:7946
join: [10.0.0.2:7946, 10.0.0.3:7946]
secret-file: /etc/gokv/secret
` + "```" + `
`)
	return b.String()
}

func TestReferenceIsWhatTheTableSays(t *testing.T) {
	var o options
	want := reference(o.table())
	const page = "../../docs/configuration.md"
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
	}
	got, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run: go test ./cmd/gokv-node -run TestReference -update")
}

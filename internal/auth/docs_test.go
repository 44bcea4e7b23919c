package auth

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSecurityPageSaysWhatTheCodeDoes(t *testing.T) {
	data, err := os.ReadFile("../../docs/security.md")
	require.NoError(t, err)
	page := string(data)
	for _, vector := range []string{goldenKeyID, goldenListenerMAC, goldenDiallerMAC, exporterLabel, ALPNPeer, ALPNClient} {
		require.Contains(t, page, vector)
	}
	for r := WrongSecret; r < Self; r++ {
		require.Contains(t, page, "| `"+r.String()+"` | "+r.text()+" |")
	}
}

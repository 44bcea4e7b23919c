package kubernetes

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(insideVar) != "" {
		os.Exit(insidePod(m))
	}
	goleak.VerifyTestMain(m)
}

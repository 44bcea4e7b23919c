//go:build plantedbug_delete

package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBugPlantedInDeleteIsThere(t *testing.T) {
	e := newEngine(t, Config{})
	put := remotePut("k", "back", wall-10, 0)
	e.Apply(wall, put)
	_, _, err := e.Delete(wall, "k")
	require.NoError(t, err)
	e.Apply(wall, put) // a push that was repeated
	requireValue(t, e, wall, "k", "back")
}

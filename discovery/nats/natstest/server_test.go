package natstest

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connects(t *testing.T, url string) error {
	t.Helper()
	nc, err := nats.Connect(url, nats.NoReconnect())
	if err == nil {
		nc.Close()
	}
	return err
}

func TestAServerStopsAndStartsOnTheSamePort(t *testing.T) {
	s := Start(t)
	require.NoError(t, connects(t, s.URL))
	s.Stop()
	s.Stop()
	require.Error(t, connects(t, s.URL))
	url := s.URL
	s.Restart()
	require.Equal(t, url, s.URL)
	require.NoError(t, connects(t, url))
	s.Restart()
	require.NoError(t, connects(t, url))
}

func TestOptionsHoldAndChangeAtARestart(t *testing.T) {
	s := Start(t, func(o *server.Options) { o.Authorization = "token" })
	require.ErrorIs(t, connects(t, s.URL), nats.ErrAuthorization)
	s.Restart()
	require.ErrorIs(t, connects(t, s.URL), nats.ErrAuthorization)
	s.Change(func(o *server.Options) { o.Authorization = "" })
	s.Restart()
	require.NoError(t, connects(t, s.URL))
}

package gokv

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
)

// alone is a node that knows nobody.
func alone(t *testing.T) *Node {
	t.Helper()
	n, err := NewNode(Config{Name: "a", PeerAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, n.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, n.Stop(context.Background())) })
	return n
}

func TestAPeersWordAboutALiveMemberIsNotTaken(t *testing.T) {
	n := alone(t)
	answer, err := n.answerForget(replica.ForgetFrame{Instance: 9, Name: "a"}.AppendTo(nil))
	require.NoError(t, err)
	f, err := replica.ParseForgot(answer)
	require.NoError(t, err)
	require.Equal(t, "a is alive: a member that is dead or has left can be forgotten", f.Reason)

	answer, err = n.answerForget(replica.ForgetFrame{Instance: 9, Name: "stranger"}.AppendTo(nil))
	require.NoError(t, err)
	f, err = replica.ParseForgot(answer)
	require.NoError(t, err)
	require.Empty(t, f.Reason, "who is not known is not waited for")
}

func TestTheInstancesOfANameThatHasNoRowAnyMoreAreForgotten(t *testing.T) {
	n := alone(t)
	n.names.note(8, "b")
	n.names.note(9, "b")
	horizon := n.replication.horizon
	horizon.Alive(8, "h")
	horizon.Alive(9, "i")
	horizon.Failed(time.Now(), 8)
	told, err := n.forget(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, []wire.ForgottenInfo{{Member: "a"}}, told)
	require.Equal(t, []replica.Holding{{Instance: 9}}, horizon.HeldUp(), "who is not believed dead counts on")
}

func TestAMalformedQuestionIsCountedAndNotAnswered(t *testing.T) {
	n := alone(t)
	_, err := n.answerHeld(nil)
	require.ErrorIs(t, err, replica.ErrMalformed)
	_, err = n.answerForget(nil)
	require.ErrorIs(t, err, replica.ErrMalformed)
}

func TestWhoDoesNotAnswerIsReportedInItsPlace(t *testing.T) {
	n := alone(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	members := make([]membership.Member, 2*inquiriesAtOnce)
	for i := range members {
		members[i] = membership.Member{Name: "b", Instance: 9, PeerAddr: "127.0.0.1:1"}
	}
	errs := make([]error, len(members))
	n.inquireAll(ctx, members, streamHeld, replica.HeldFrame{Key: "k"}.AppendTo(nil), func(i int, _ []byte, err error) { errs[i] = err })
	for _, err := range errs {
		require.Error(t, err)
	}
}

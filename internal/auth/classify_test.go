package auth

import (
	"context"
	"fmt"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"
)

func TestClassifyFindsTheReasonInQUICsErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		want   Reason
		byPeer bool
	}{
		{"our own close code", &quic.ApplicationError{Remote: true, ErrorCode: closeRefused + quic.ApplicationErrorCode(WrongSecret)}, WrongSecret, true},
		{"a code that a later version may use", &quic.ApplicationError{Remote: true, ErrorCode: closeRefused + 200}, ReasonNone, true},
		{"a code that would wrap around", &quic.ApplicationError{Remote: true, ErrorCode: closeRefused + 256 + 1}, ReasonNone, true},
		{"a shutdown", &quic.ApplicationError{Remote: true, ErrorCode: CloseShutdown}, ReasonNone, true},
		{"a full listener", &quic.TransportError{Remote: true, ErrorCode: quic.ConnectionRefused}, Limit, true},
		{"a certificate", &quic.TransportError{Remote: true, ErrorCode: 0x100 + 42}, BadCertificate, true},
		{"no common protocol", &quic.TransportError{Remote: true, ErrorCode: 0x100 + 120}, VersionMismatch, true},
		{"no common version of QUIC", &quic.VersionNegotiationError{}, VersionMismatch, false},
		{"an internal error", &quic.TransportError{Remote: true, ErrorCode: quic.InternalError}, ReasonNone, true},
		{"nobody there", &quic.HandshakeTimeoutError{}, ReasonNone, false},
		{"a deadline", context.DeadlineExceeded, ReasonNone, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Classify(fmt.Errorf("dial: %w", c.err))
			if c.want == ReasonNone {
				require.ErrorIs(t, err, c.err)
				require.Equal(t, ReasonNone, ReasonOf(err))
				return
			}
			wantReason(t, err, c.want, c.byPeer)
		})
	}
	require.NoError(t, Classify(nil))
}

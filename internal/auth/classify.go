package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/quic-go/quic-go"
)

// Codes that close a QUIC connection of gokv. A refused handshake closes with
// closeRefused plus its reason, so that the reason arrives even where the
// message that carries it is lost with the connection.
const (
	CloseNormal     quic.ApplicationErrorCode = 0x0
	CloseShutdown   quic.ApplicationErrorCode = 0x1 // the process is going down
	CloseSuperseded quic.ApplicationErrorCode = 0x2 // another connection took its place
	CloseIdle       quic.ApplicationErrorCode = 0x3
	CloseDropped    quic.ApplicationErrorCode = 0x4 // the other end is no longer wanted

	closeRefused quic.ApplicationErrorCode = 0x100
)

// CloseQUIC ends a connection whose handshake failed with err, and tells the
// other end why.
func CloseQUIC(conn *quic.Conn, err error) {
	code, text := CloseNormal, "handshake failed"
	if r := ReasonOf(err); r.valid() {
		code, text = closeRefused+quic.ApplicationErrorCode(r), r.text()
	}
	conn.CloseWithError(code, text) //nolint:errcheck // always nil
}

// Classify finds the refusal in an error of TLS or QUIC: a certificate that
// was not accepted, a close code of ours, a protocol that the other end does
// not speak. An error that refuses nothing (a time-out, an address where nobody
// listens) is returned as it is.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return r
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		return classifyClose(e, err)
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok {
		return classifyQUIC(e, err)
	}
	if e, ok := errors.AsType[*quic.VersionNegotiationError](err); ok {
		return &RefusedError{Reason: VersionMismatch, Err: e}
	}
	return classifyTLS(err)
}

// ClassifyDial is Classify for an end that dials with this Authenticator: it adds
// what a listener may have against our certificate.
func (a *Authenticator) ClassifyDial(err error) error {
	err = Classify(err)
	r, ok := errors.AsType[*RefusedError](err)
	if !ok || !r.ByPeer || r.Reason != BadCertificate || r.Detail != "" {
		return err
	}
	r.Detail = "it does not accept our certificate"
	if a.mode != MutualTLS {
		r.Detail = "it demands a certificate of its CA, and we have none"
	}
	return r
}

func classifyClose(e *quic.ApplicationError, err error) error {
	if e.ErrorCode <= closeRefused {
		return err
	}
	r := Reason(min(e.ErrorCode-closeRefused, quic.ApplicationErrorCode(roofReason)))
	if !r.valid() {
		return err
	}
	return &RefusedError{Reason: r, ByPeer: e.Remote}
}

// roofReason keeps a stranger's code within Reason's size before it is judged.
const roofReason = 0xff

func classifyQUIC(e *quic.TransportError, err error) error {
	switch {
	case e.ErrorCode == quic.ConnectionRefused:
		return &RefusedError{Reason: Limit, ByPeer: e.Remote, Detail: "no new connections now"}
	case e.ErrorCode.IsCryptoError():
		if r := alertReason(uint8(e.ErrorCode - 0x100)); r.valid() {
			return &RefusedError{Reason: r, ByPeer: e.Remote, Err: e}
		}
	}
	return err
}

// TLS alerts, RFC 8446 section 6.
var alertReasons = map[uint8]Reason{
	10:  Malformed,       // unexpected_message
	22:  Malformed,       // record_overflow
	42:  BadCertificate,  // bad_certificate
	43:  BadCertificate,  // unsupported_certificate
	44:  BadCertificate,  // certificate_revoked
	45:  BadCertificate,  // certificate_expired
	46:  BadCertificate,  // certificate_unknown
	47:  Malformed,       // illegal_parameter
	48:  BadCertificate,  // unknown_ca
	49:  BadCertificate,  // access_denied
	50:  Malformed,       // decode_error
	51:  BadCertificate,  // decrypt_error: the signature of the certificate's key
	70:  VersionMismatch, // protocol_version
	109: Malformed,       // missing_extension
	116: BadCertificate,  // certificate_required
	120: VersionMismatch, // no_application_protocol
}

func alertReason(alert uint8) Reason { return alertReasons[alert] }

func classifyTLS(err error) error {
	// crypto/tls gives a received alert a type of its own that nobody can name,
	// with the text of the exported tls.AlertError.
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" && e.Err != nil {
		for alert, reason := range alertReasons {
			if e.Err.Error() == tls.AlertError(alert).Error() {
				return &RefusedError{Reason: reason, ByPeer: true, Err: e.Err}
			}
		}
		return err
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &RefusedError{Reason: Malformed, Detail: e.Msg}
	}
	if isCertificateError(err) {
		return &RefusedError{Reason: BadCertificate, Err: err}
	}
	switch text := err.Error(); {
	case strings.Contains(text, "unsupported application protocols"),
		strings.Contains(text, "unsupported versions"),
		strings.Contains(text, "unsupported protocol version"):
		return &RefusedError{Reason: VersionMismatch, Err: err}
	case strings.HasPrefix(text, "tls: "):
		return &RefusedError{Reason: Malformed, Err: err}
	}
	return err
}

func isCertificateError(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

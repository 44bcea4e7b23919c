package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
)

const (
	exporterLabel = "EXPORTER-gokv-auth"
	exporterSize  = 32
)

type direction byte

const (
	fromListener direction = 'L'
	fromDialler  direction = 'D'
)

// binding is what a proof is bound to besides its key: this very TLS
// connection (the exporter), who listens and who dials, and to what end.
type binding struct {
	exporter [exporterSize]byte
	role     Role
	listener uint64
	dialler  uint64
	cluster  string
}

func newBinding(cs *tls.ConnectionState, role Role, listener, dialler uint64, cluster string) (*binding, error) {
	if cs.Version < tls.VersionTLS13 {
		// Older versions can export keys that do not tell connections apart.
		return nil, fmt.Errorf("TLS exporter: needs TLS 1.3, this is version %#x", cs.Version)
	}
	b := &binding{role: role, listener: listener, dialler: dialler, cluster: cluster}
	key, err := cs.ExportKeyingMaterial(exporterLabel, nil, exporterSize)
	if err != nil {
		return nil, fmt.Errorf("TLS exporter: %w", err)
	}
	copy(b.exporter[:], key)
	return b, nil
}

// seal makes the proof of one direction with a secret's key for the role.
func (b *binding) seal(s *secret, d direction) sealed {
	out := sealed{key: s.id}
	h := hmac.New(sha256.New, s.keys[b.role][:])
	h.Write(b.appendTo(nil, d, s.id))
	h.Sum(out.mac[:0])
	return out
}

// appendTo is the text that is authenticated. Every field has a fixed size or
// a length before it, so that no two bindings share a text.
func (b *binding) appendTo(dst []byte, d direction, id keyID) []byte {
	dst = append(dst, "gokv auth\x00"...)
	dst = append(dst, Version, byte(d), byte(b.role))
	dst = append(dst, b.exporter[:]...)
	dst = binary.BigEndian.AppendUint64(dst, b.listener)
	dst = binary.BigEndian.AppendUint64(dst, b.dialler)
	dst = append(dst, id[:]...)
	return appendString(dst, b.cluster)
}

// verify checks the other end's proof of direction d against all secrets that
// may prove the role, and returns the one that it was made with. It tells why it fails: which key was used is no secret
// (the listener shows its own to everybody), and without the key nothing is
// learned from a MAC that does not fit.
func (b *binding) verify(secrets []secret, got *sealed, d direction) (*secret, error) {
	known := false
	for i := range secrets {
		s := &secrets[i]
		if s.id != got.key {
			continue
		}
		known = true
		if !s.allows(b.role) {
			continue
		}
		want := b.seal(s, d)
		if hmac.Equal(want.mac[:], got.mac[:]) {
			return s, nil
		}
		opposite := fromListener
		if d == fromListener {
			opposite = fromDialler
		}
		mirror := b.seal(s, opposite)
		if hmac.Equal(mirror.mac[:], got.mac[:]) {
			return nil, refused(Reflected, "the proof is our own, sent back")
		}
		return nil, refused(BadProof, "key %s is known, but the proof was made for another connection", got.key)
	}
	if known {
		return nil, refused(WrongRole, "key %s does not prove the role %s", got.key, b.role)
	}
	return nil, refused(WrongSecret, "the other end proves with key %s, which is none of ours", got.key)
}

package auth

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// MinSecretBytes is the least a secret may hold once decoded. The listener
	// proves itself to whoever asks, so a proof can be attacked offline: only
	// full entropy makes that hopeless.
	MinSecretBytes = 32
	maxSecretBytes = 1024
	maxSecrets     = 16
	maxSecretFile  = 64 << 10

	keyIDSize = 8
)

type keyID [keyIDSize]byte

func (k keyID) String() string { return hex.EncodeToString(k[:]) }

// secret holds what is derived from one line; the secret itself is not kept.
type secret struct {
	role Role // RoleAny, or the one role that it proves
	id   keyID
	keys [roleEnd][sha256.Size]byte // by role, for those that it may prove
	seed [sha256.Size]byte          // for keys that are no proofs (Derive)
}

func (s *secret) allows(role Role) bool {
	return role.provable() && (s.role == RoleAny || s.role == role)
}

// NewSecret draws a secret in the form that secret files hold.
func NewSecret() string {
	var b [MinSecretBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.StdEncoding.EncodeToString(b[:])
}

// parseSecrets reads a secret file: a secret a line, a role before it if it is
// to prove that role alone; blank lines and lines that begin with # are skipped.
func parseSecrets(data []byte) ([]secret, error) {
	if len(data) > maxSecretFile {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(data), maxSecretFile)
	}
	var secrets []secret
	for i, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		s, err := parseSecretLine(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(secrets) == maxSecrets {
			return nil, fmt.Errorf("line %d: more than %d secrets", i+1, maxSecrets)
		}
		secrets = append(secrets, s)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("holds no secret (`gokv secret new` prints one)")
	}
	return secrets, nil
}

func parseSecretLine(text string) (secret, error) {
	role := RoleAny
	fields := strings.Fields(text)
	switch len(fields) {
	case 1:
	case 2:
		r, ok := parseRole(fields[0])
		if !ok {
			return secret{}, fmt.Errorf("unknown role %.20q: a line is `SECRET`, `peer SECRET` or `admin SECRET`", fields[0])
		}
		if !r.provable() {
			return secret{}, fmt.Errorf("role %q is not supported by this version: peer and admin are", r)
		}
		role = r
	default:
		return secret{}, fmt.Errorf("%d words: a line is `SECRET`, `peer SECRET` or `admin SECRET`", len(fields))
	}
	raw, err := decodeSecret(fields[len(fields)-1])
	if err != nil {
		return secret{}, err
	}
	if len(raw) < MinSecretBytes {
		return secret{}, fmt.Errorf("the secret is %d bytes, at least %d are needed (`gokv secret new` prints one)", len(raw), MinSecretBytes)
	}
	if len(raw) > maxSecretBytes {
		return secret{}, fmt.Errorf("the secret is %d bytes, the limit is %d", len(raw), maxSecretBytes)
	}
	return newSecret(role, raw)
}

// decodeSecret takes standard and URL base64, padded or not. The error never
// quotes the input.
func decodeSecret(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the secret is not base64 (`gokv secret new` prints one)")
	}
	return raw, nil
}

func newSecret(role Role, raw []byte) (secret, error) {
	s := secret{role: role}
	id, err := derive(raw, "key-id", keyIDSize)
	if err != nil {
		return secret{}, err
	}
	copy(s.id[:], id)
	for r := RolePeer; r < roleEnd; r++ {
		if !s.allows(r) {
			continue
		}
		key, err := derive(raw, "role:"+r.String(), sha256.Size)
		if err != nil {
			return secret{}, err
		}
		copy(s.keys[r][:], key)
	}
	seed, err := derive(raw, "seed", sha256.Size)
	if err != nil {
		return secret{}, err
	}
	copy(s.seed[:], seed)
	return s, nil
}

// derive is HKDF-SHA256 with a label a use, so that no key serves two uses.
func derive(raw []byte, label string, size int) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, raw, []byte("gokv"), "gokv/auth/1/"+label, size)
	if err != nil {
		return nil, fmt.Errorf("derive %s: %w", label, err)
	}
	return key, nil
}

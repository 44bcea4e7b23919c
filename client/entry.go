package client

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// Entry is a key and what it holds. It shares no memory with the client, the
// node or another entry.
type Entry struct {
	Key   string
	Value []byte
	// Version names the write that made the entry, the same on every node.
	Version Version
	// ExpiresAt is the zero time where the entry does not expire.
	ExpiresAt time.Time
}

// Version is an opaque name of a write. Versions of one key compare like their
// texts: the later write has the greater one.
type Version [16]byte

// IsZero says whether v names no write.
func (v Version) IsZero() bool { return v == Version{} }

// String is v in 32 hex digits.
func (v Version) String() string { return hex.EncodeToString(v[:]) }

// MarshalText is String, for JSON.
func (v Version) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, v[:]), nil }

// UnmarshalText is ParseVersion, for JSON.
func (v *Version) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVersion(string(b))
	return err
}

// ParseVersion reads what String wrote.
func ParseVersion(s string) (v Version, err error) {
	if hex.DecodedLen(len(s)) != len(v) || len(s)%2 != 0 {
		return v, fmt.Errorf("version %q: %d characters instead of %d: %w", shorten(s), len(s), hex.EncodedLen(len(v)), ErrInvalid)
	}
	if _, err := hex.Decode(v[:], []byte(s)); err != nil {
		return Version{}, fmt.Errorf("version %q: %w: %w", s, err, ErrInvalid)
	}
	return v, nil
}

// Member, Status and SyncResult are what Members, Status and Sync tell; HeldUp
// is for whom dead entries wait, Holding what a member holds of a key,
// Forgotten whether a member was told to forget another.
type (
	Member     = wire.MemberInfo
	Status     = wire.StatusInfo
	SyncResult = wire.SyncInfo
	HeldUp     = wire.HeldUpInfo
	Holding    = wire.HoldingInfo
	Forgotten  = wire.ForgottenInfo
)

func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

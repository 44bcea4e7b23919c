package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// MemberInfo is one member as the node that answers sees it: its newest instance.
type MemberInfo struct {
	Name        string            `cbor:"name" json:"name"`
	State       string            `cbor:"state" json:"state"` // alive, suspect, dead, left
	PeerAddr    string            `cbor:"peer_addr" json:"peer_addr"`
	ClientAddr  string            `cbor:"client_addr" json:"client_addr"`
	Instance    uint64            `cbor:"instance" json:"instance,string"`
	Incarnation uint64            `cbor:"incarnation" json:"incarnation,string"`
	Leader      bool              `cbor:"leader" json:"leader"`
	Tags        map[string]string `cbor:"tags,omitempty" json:"tags"`
}

// StatusInfo describes the node that answers.
type StatusInfo struct {
	Name           string  `cbor:"name" json:"name"`
	Cluster        string  `cbor:"cluster" json:"cluster"`
	BuildVersion   string  `cbor:"version" json:"version"`
	Instance       uint64  `cbor:"instance" json:"instance,string"`
	Ready          bool    `cbor:"ready" json:"ready"`
	Entries        uint64  `cbor:"entries" json:"entries,string"`
	Tombstones     uint64  `cbor:"tombstones" json:"tombstones,string"`
	EntryBytes     uint64  `cbor:"entry_bytes" json:"entry_bytes,string"`
	RootDigest     string  `cbor:"root_digest" json:"root_digest"` // hex
	RoundsEqual    uint64  `cbor:"rounds_equal" json:"rounds_equal,string"`
	RoundsRepaired uint64  `cbor:"rounds_repaired" json:"rounds_repaired,string"`
	RoundsFailed   uint64  `cbor:"rounds_failed" json:"rounds_failed,string"`
	LagSeconds     float64 `cbor:"lag_seconds" json:"lag_seconds"`
	UptimeSeconds  float64 `cbor:"uptime_seconds" json:"uptime_seconds"`
	Clock          uint64  `cbor:"clock" json:"clock,string"`
	// HeldUp is for whom dead entries wait; empty where none does.
	HeldUp []HeldUpInfo `cbor:"held_up,omitempty" json:"held_up,omitempty"`

	// ClockOffsetSeconds is how far the peers' wall clocks are ahead of the
	// node's, their median. Fenced: it takes no writes because most are far from it.
	ClockOffsetSeconds float64 `cbor:"clock_offset_seconds,omitempty" json:"clock_offset_seconds"`
	Fenced             bool    `cbor:"fenced,omitempty" json:"fenced"`

	MemoryBytes uint64   `cbor:"memory_bytes,omitempty" json:"memory_bytes,string"`
	MemoryLimit uint64   `cbor:"memory_limit_bytes,omitempty" json:"memory_limit_bytes,string"` // 0: none
	Full        []string `cbor:"full,omitempty" json:"full"`                                    // members whose memory is, as the node knows
}

// HeldUpInfo is a member that keeps dead entries from being purged.
type HeldUpInfo struct {
	Name     string `cbor:"name" json:"name"` // empty: not known any more
	Instance uint64 `cbor:"instance" json:"instance,string"`
	Dead     bool   `cbor:"dead" json:"dead"` // believed so
	// Earlier says that another instance bears the name by now.
	Earlier bool `cbor:"earlier" json:"earlier"`
	// Reported says that it has told how far it has seen everything, and
	// BehindSeconds how long ago that is.
	Reported      bool    `cbor:"reported" json:"reported"`
	BehindSeconds float64 `cbor:"behind_seconds" json:"behind_seconds"`
	Waiting       uint64  `cbor:"waiting" json:"waiting,string"` // dead entries
}

// SyncInfo is what one round of a sync did.
type SyncInfo struct {
	Peer            string  `cbor:"peer" json:"peer"`
	Result          string  `cbor:"result" json:"result"` // equal, repaired, failed
	Error           string  `cbor:"error,omitempty" json:"error,omitempty"`
	BytesSent       uint64  `cbor:"bytes_sent" json:"bytes_sent,string"`
	BytesReceived   uint64  `cbor:"bytes_received" json:"bytes_received,string"`
	EntriesSent     uint64  `cbor:"entries_sent" json:"entries_sent,string"`
	EntriesReceived uint64  `cbor:"entries_received" json:"entries_received,string"`
	DurationSeconds float64 `cbor:"duration_seconds" json:"duration_seconds"`
}

// HoldingInfo is what a member holds of a key.
type HoldingInfo struct {
	Member string `cbor:"member" json:"member"`
	// Error says why the member could not be asked; the rest is empty then.
	Error string `cbor:"error,omitempty" json:"error,omitempty"`
	// State is live, expired, deleted, or unknown, where the rest is empty too.
	State   string `cbor:"state" json:"state"`
	Version string `cbor:"version,omitempty" json:"version,omitempty"` // hex
	// Instance issued the version, at Written by its own clock, in ms since 1970.
	// Writer is the member that the instance is or was; empty: not known.
	Instance  uint64 `cbor:"instance" json:"instance,string"`
	Writer    string `cbor:"writer,omitempty" json:"writer,omitempty"`
	Written   int64  `cbor:"written" json:"written,string"`
	ExpiresAt int64  `cbor:"expires_at" json:"expires_at,string"` // ms since 1970; 0: never
	Size      uint64 `cbor:"size" json:"size,string"`             // of the value, bytes
}

// ForgottenInfo says of a member whether it has taken in that another one will
// not return.
type ForgottenInfo struct {
	Member string `cbor:"member" json:"member"`
	Error  string `cbor:"error,omitempty" json:"error,omitempty"` // why not
}

// Info is what Response.Body may hold.
type Info interface {
	[]MemberInfo | StatusInfo | []SyncInfo | HoldingInfo | []HoldingInfo | []ForgottenInfo
}

// Bounds of a body: a cluster has tens of members, so thousands are an attack.
const (
	maxInfoItems  = 1 << 16
	maxInfoPairs  = 1 << 10
	maxInfoNested = 4
)

var (
	infoEnc = must(cbor.CoreDetEncOptions().EncMode())
	infoDec = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxArrayElements: maxInfoItems,
		MaxMapPairs:      maxInfoPairs,
		MaxNestedLevels:  maxInfoNested,
		TagsMd:           cbor.TagsForbidden,
	}.DecMode())
)

// must serves the two modes above, whose options are constants.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// EncodeInfo encodes v for Response.Body, deterministically.
func EncodeInfo[T Info](v T) ([]byte, error) {
	b, err := infoEnc.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// DecodeInfo decodes Response.Body. Fields that this version does not know are
// ignored, so that a newer node may tell more.
func DecodeInfo[T Info](body []byte) (T, error) {
	var v T
	if err := infoDec.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("decode %T: %w: %w", v, err, ErrMalformed)
	}
	return v, nil
}

package replica

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tochemey/gokv/engine"
)

// What an operator asks one node of, that node asks the others: one frame, one
// answer, on a stream of their own.
//
//	held    │ 3 │ key, 1 to 4,096 bytes
//	holding │ 4 │ state 1                                           unknown here
//	        │ 4 │ state 1 │ version 16 │ expires 8 │ value's size 4  otherwise
//	forget  │ 5 │ instance 8 │ name, 1 to 256 bytes
//	forgot  │ 6 │ why not, up to 512 bytes; none: done
const (
	frameHeld    = 3
	frameHolding = 4
	frameForget  = 5
	frameForgot  = 6

	holdingSize = 1 + 1 + engine.VersionSize + 8 + 4
	forgetFixed = 1 + 8
	maxName     = 256
	maxReason   = 512
)

// KeyState is what a node holds of a key, as an operator wants it told.
type KeyState uint8

// The states of a key.
const (
	KeyUnknown KeyState = iota // nothing is held
	KeyLive
	KeyExpired
	KeyDeleted
	keyStateEnd
)

var keyStates = [keyStateEnd]string{"unknown", "live", "expired", "deleted"}

// String is the state as commands print it.
func (s KeyState) String() string {
	if s >= keyStateEnd {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return keyStates[s]
}

// KeyHolding is what a node holds of one key. All but the state is zero where it
// is unknown.
type KeyHolding struct {
	State     KeyState
	Version   engine.Version
	ExpiresAt int64  // ms since 1970; 0: never
	Size      uint32 // of the value, bytes
}

// HoldingOf looks a key up at the time now.
func HoldingOf(e *engine.Engine, now int64, key string) KeyHolding {
	if ent, size, err := e.Head(now, key); err == nil { // without its value
		return KeyHolding{State: KeyLive, Version: ent.Version, ExpiresAt: ent.ExpiresAt, Size: uint32(size)}
	}
	ent, ok := e.Held(key, nil)
	if !ok {
		return KeyHolding{}
	}
	h := KeyHolding{State: KeyExpired, Version: ent.Version, ExpiresAt: ent.ExpiresAt, Size: uint32(len(ent.Value))}
	switch {
	case ent.Kind == engine.KindTombstone:
		h.State = KeyDeleted
	case ent.LiveAt(now): // written between the two looks
		h.State = KeyLive
	}
	return h
}

// HeldFrame asks what a node holds of a key.
type HeldFrame struct{ Key string }

// AppendTo appends the wire form.
func (f HeldFrame) AppendTo(dst []byte) []byte { return append(append(dst, frameHeld), f.Key...) }

// ParseHeld reads a HeldFrame.
func ParseHeld(b []byte) (HeldFrame, error) {
	if len(b) < 2 || len(b) > 1+engine.MaxKeySize || b[0] != frameHeld {
		return HeldFrame{}, fmt.Errorf("held: %d bytes: %w", len(b), ErrMalformed)
	}
	return HeldFrame{Key: string(b[1:])}, nil
}

// AppendTo appends the wire form.
func (h KeyHolding) AppendTo(dst []byte) []byte {
	dst = append(dst, frameHolding, byte(h.State))
	if h.State == KeyUnknown {
		return dst
	}
	version := h.Version.Bytes()
	dst = append(dst, version[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.ExpiresAt))
	return binary.BigEndian.AppendUint32(dst, h.Size)
}

// ParseHolding reads the answer to a HeldFrame.
func ParseHolding(b []byte) (KeyHolding, error) {
	if len(b) < 2 || b[0] != frameHolding || b[1] >= byte(keyStateEnd) {
		return KeyHolding{}, fmt.Errorf("holding: %d bytes of no known kind: %w", len(b), ErrMalformed)
	}
	h := KeyHolding{State: KeyState(b[1])}
	if h.State == KeyUnknown {
		if len(b) != 2 {
			return KeyHolding{}, fmt.Errorf("holding: %d bytes, 2 expected: %w", len(b), ErrMalformed)
		}
		return h, nil
	}
	if len(b) != holdingSize {
		return KeyHolding{}, fmt.Errorf("holding: %d bytes, %d expected: %w", len(b), holdingSize, ErrMalformed)
	}
	h.Version = engine.VersionFrom([engine.VersionSize]byte(b[2:]))
	expires := binary.BigEndian.Uint64(b[2+engine.VersionSize:])
	if h.Version.IsZero() || expires > math.MaxInt64 {
		return KeyHolding{}, fmt.Errorf("holding: version %v, expiry %d: %w", h.Version, expires, ErrMalformed)
	}
	h.ExpiresAt = int64(expires)
	h.Size = binary.BigEndian.Uint32(b[2+engine.VersionSize+8:])
	return h, nil
}

// ForgetFrame tells a node that a member will not return.
type ForgetFrame struct {
	Instance uint64 // the newest of the name; zero: only earlier ones are waited for
	Name     string
}

// AppendTo appends the wire form.
func (f ForgetFrame) AppendTo(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, frameForget), f.Instance)
	return append(dst, f.Name...)
}

// ParseForget reads a ForgetFrame.
func ParseForget(b []byte) (ForgetFrame, error) {
	if len(b) <= forgetFixed || len(b) > forgetFixed+maxName || b[0] != frameForget {
		return ForgetFrame{}, fmt.Errorf("forget: %d bytes: %w", len(b), ErrMalformed)
	}
	return ForgetFrame{Instance: binary.BigEndian.Uint64(b[1:]), Name: string(b[forgetFixed:])}, nil
}

// ForgotFrame answers a ForgetFrame.
type ForgotFrame struct{ Reason string } // why not; empty: done

// AppendTo appends the wire form. A reason that is too long is cut.
func (f ForgotFrame) AppendTo(dst []byte) []byte {
	return append(append(dst, frameForgot), f.Reason[:min(len(f.Reason), maxReason)]...)
}

// ParseForgot reads a ForgotFrame.
func ParseForgot(b []byte) (ForgotFrame, error) {
	if len(b) < 1 || len(b) > 1+maxReason || b[0] != frameForgot {
		return ForgotFrame{}, fmt.Errorf("forgot: %d bytes: %w", len(b), ErrMalformed)
	}
	return ForgotFrame{Reason: string(b[1:])}, nil
}

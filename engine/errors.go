package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The engine's sentinels. Errors wrap one of them and name the operation, the
// key and the limit: match with errors.Is. Get alone returns ErrNotFound bare,
// because a miss is ordinary and must not cost an allocation.
var (
	ErrNotFound      = errors.New("key not found")
	ErrKeyEmpty      = errors.New("empty key")
	ErrKeyTooLarge   = errors.New("key too large")
	ErrValueTooLarge = errors.New("too large")
	ErrInvalidTTL    = errors.New("invalid expiry")
	ErrClockAhead    = errors.New("clock ahead")
	ErrOverloaded    = errors.New("no memory left")
	ErrMalformed     = errors.New("malformed")

	ErrConditionFailed  = errors.New("condition failed")
	ErrInvalidBatch     = errors.New("invalid batch")
	ErrBatchTooLarge    = errors.New("batch too large")
	ErrInvalidCondition = errors.New("invalid condition")
)

func failed(op, key string, err error) error {
	return fmt.Errorf("%s %s: %w", op, quoteKey(key), err)
}

func keyTooLarge(size int) error {
	return fmt.Errorf("key is %s, the limit is %s: %w", exactBytes(size), exactBytes(MaxKeySize), ErrKeyTooLarge)
}

func valueTooLarge(size, limit int) error {
	is, most := roundBytes(size), roundBytes(limit)
	if is == most { // the rounded figures would contradict the error
		is, most = exactBytes(size), exactBytes(limit)
	}
	return fmt.Errorf("value is %s, the limit is %s: %w", is, most, ErrValueTooLarge)
}

func clockAhead(reading uint64, wall int64, skew time.Duration) error {
	ahead := time.Duration(min(WallOf(reading)-boundWall(wall), maxDurationMillis)) * time.Millisecond
	return fmt.Errorf("reading is %v ahead of the wall clock, the limit is %v: %w", ahead, skew, ErrClockAhead)
}

const maxDurationMillis = int64(1<<63-1) / int64(time.Millisecond)

// quotedKey is how much of a key an error shows: enough to recognise it, and
// little enough for one line of a log.
const quotedKey = 64

// quoteKey is key in quotes, with what is unprintable escaped, and cut short
// when it is long.
func quoteKey(key string) string {
	if len(key) <= quotedKey {
		return strconv.Quote(key)
	}
	cut := quotedKey
	for cut > quotedKey-utf8.UTFMax && !utf8.RuneStart(key[cut]) {
		cut--
	}
	return strconv.Quote(key[:cut] + "…")
}

// roundBytes is n for people: "2.1 MiB", "1 MiB", "512 B".
func roundBytes(n int) string {
	const units = "KMGT"
	if n < 1024 {
		return strconv.Itoa(n) + " B"
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + units[unit:unit+1] + "iB"
}

// exactBytes is n to the byte: "1,048,577 bytes".
func exactBytes(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " bytes"
}

package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tochemey/gokv/client"
)

// An entry is a flat JSON object on a line of its own, all of it strings:
//
//	{"key":"svc/a","value":"aGVsbG8=","version":"…","expires_at":"2026-01-02T15:04:05.000Z"}
//
// key_base64 stands for key where that is not UTF-8; a file that is imported may
// have text, as it is, instead of value. A member that is null counts as absent.
//
// encoding/json is not used to read it: it takes names in any case, silently
// changes strings that are not Unicode, and lets the last of two equal names win.
// Here each of these would change what is stored without a word.

// record is a line as import needs it.
type record struct {
	key       string
	value     []byte
	expiresAt time.Time // zero: never
}

// errCut is the reason of a line that ends inside its object.
var errCut = errors.New("it ends in the middle of the object")

// appendEntry appends e as a line.
func appendEntry(dst []byte, e client.Entry) []byte {
	dst = appendKey(append(dst, '{'), e.Key)
	dst = append(dst, `,"value":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, e.Value)
	dst = append(dst, `","version":"`...)
	dst = hex.AppendEncode(dst, e.Version[:])
	dst = append(dst, '"')
	if !e.ExpiresAt.IsZero() {
		dst = append(dst, `,"expires_at":"`...)
		dst = append(dst, formatTime(e.ExpiresAt)...)
		dst = append(dst, '"')
	}
	return append(dst, "}\n"...)
}

// appendKeyOnly appends e's key as a line.
func appendKeyOnly(dst []byte, e client.Entry) []byte {
	return append(appendKey(append(dst, '{'), e.Key), "}\n"...)
}

func appendKey(dst []byte, key string) []byte {
	if utf8.ValidString(key) {
		return appendString(append(dst, `"key":`...), key)
	}
	dst = append(dst, `"key_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, []byte(key))
	return append(dst, '"')
}

// appendString appends s, which is UTF-8, as a JSON string.
func appendString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// member is a name that a line may have.
type member int

const (
	memberKey member = iota
	memberKey64
	memberValue
	memberText
	memberVersion
	memberExpiry
	memberEnd
)

var memberNames = [memberEnd]string{"key", "key_base64", "value", "text", "version", "expires_at"}

func (m member) String() string { return memberNames[m] }

// fields are a line's members; nil: absent or null.
type fields [memberEnd][]byte

// parseRecord reads a line. The record shares no memory with it.
func parseRecord(line []byte) (r record, err error) {
	f, err := parseObject(line)
	if err != nil {
		return record{}, err
	}
	switch key, key64 := f[memberKey], f[memberKey64]; {
	case key != nil && key64 != nil:
		return record{}, errors.New("it has both key and key_base64")
	case key != nil:
		r.key = string(key)
	case key64 != nil:
		raw, err := base64.StdEncoding.DecodeString(string(key64))
		if err != nil {
			return record{}, fmt.Errorf("key_base64: %w", err)
		}
		r.key = string(raw)
	default:
		return record{}, errors.New("it has no key")
	}
	if r.key == "" {
		return record{}, errors.New("the key is empty")
	}
	switch value, text := f[memberValue], f[memberText]; {
	case value != nil && text != nil:
		return record{}, errors.New("it has both value and text")
	case value != nil:
		if r.value, err = base64.StdEncoding.AppendDecode(nil, value); err != nil {
			return record{}, fmt.Errorf("value: %w (text takes a value as it is)", err)
		}
	case text != nil:
		r.value = append([]byte(nil), text...)
	default:
		return record{}, errors.New("it has neither value nor text")
	}
	if at := f[memberExpiry]; at != nil {
		if r.expiresAt, err = time.Parse(time.RFC3339, string(at)); err != nil {
			return record{}, fmt.Errorf("expires_at is %.40q: not RFC 3339, such as 2026-01-02T15:04:05.000Z", at)
		}
	}
	return r, nil
}

// parseObject reads one flat object of strings and nulls.
func parseObject(line []byte) (f fields, err error) {
	s := scanner{b: line}
	var seen [memberEnd]bool
	if err := s.expect('{', "an object in braces"); err != nil {
		return f, err
	}
	for first := true; ; first = false {
		if s.space(); first && s.at() == '}' {
			break
		}
		m, err := s.name()
		if err != nil {
			return f, err
		}
		if seen[m] {
			return f, fmt.Errorf("column %d: a second %s", s.i, m)
		}
		seen[m] = true
		if err := s.expect(':', "a colon"); err != nil {
			return f, err
		}
		if f[m], err = s.value(m); err != nil {
			return f, err
		}
		if s.space(); s.at() == '}' {
			break
		}
		if err := s.expect(',', "a comma or a closing brace"); err != nil {
			return f, err
		}
	}
	s.i++
	if s.space(); s.i < len(s.b) {
		return f, s.unexpected("the end of the line")
	}
	return f, nil
}

// scanner reads JSON's tokens off a line.
type scanner struct {
	b []byte
	i int
}

// at is the next byte; 0 at the end, which is no byte of a sound line.
func (s *scanner) at() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) unexpected(wanted string) error {
	if s.i >= len(s.b) {
		return errCut
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	return fmt.Errorf("column %d: %q instead of %s", s.i+1, r, wanted)
}

func (s *scanner) expect(c byte, wanted string) error {
	if s.space(); s.at() != c {
		return s.unexpected(wanted)
	}
	s.i++
	return nil
}

// name reads a member's name.
func (s *scanner) name() (member, error) {
	if s.space(); s.at() != '"' {
		return 0, s.unexpected("a name in quotes")
	}
	start := s.i
	raw, err := s.str()
	if err != nil {
		return 0, err
	}
	for m, name := range memberNames {
		if string(raw) == name {
			return member(m), nil
		}
	}
	return 0, fmt.Errorf("column %d: unknown name %.40q, known are %s", start+1, raw, strings.Join(memberNames[:], ", "))
}

// value reads a string, which is never nil, or null, which is.
func (s *scanner) value(m member) ([]byte, error) {
	s.space()
	if s.at() == '"' {
		value, err := s.str()
		if err != nil && !errors.Is(err, errCut) {
			err = fmt.Errorf("%s: %w", m, err)
		}
		return value, err
	}
	const null = "null"
	if rest := s.b[s.i:]; len(rest) < len(null) && string(rest) == null[:len(rest)] {
		return nil, errCut
	} else if len(rest) >= len(null) && string(rest[:len(null)]) == null {
		s.i += len(null)
		return nil, nil
	}
	return nil, s.unexpected(m.String() + " as a string in quotes")
}

// str reads a string, whose opening quote is next. What it returns may be part
// of the line.
func (s *scanner) str() ([]byte, error) {
	s.i++
	start := s.i
	for s.i < len(s.b) && s.b[s.i] != '"' && s.b[s.i] != '\\' {
		if s.b[s.i] < ' ' {
			return nil, fmt.Errorf("column %d: control character %#02x in a string, which JSON writes as an escape", s.i+1, s.b[s.i])
		}
		s.i++
	}
	plain := s.b[start:s.i]
	if s.at() == '\\' {
		return s.escaped(start)
	}
	if s.i == len(s.b) {
		return nil, errCut
	}
	if !utf8.Valid(plain) {
		return nil, fmt.Errorf("column %d: the string is not UTF-8: key_base64 and value take any bytes", start+1)
	}
	s.i++
	return plain, nil
}

// escaped reads the rest of a string that has an escape, from its beginning.
func (s *scanner) escaped(start int) ([]byte, error) {
	out := append([]byte{}, s.b[start:s.i]...)
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			if !utf8.Valid(out) {
				return nil, fmt.Errorf("column %d: the string is not UTF-8: key_base64 and value take any bytes", start+1)
			}
			s.i++
			return out, nil
		case c < ' ':
			return nil, fmt.Errorf("column %d: control character %#02x in a string, which JSON writes as an escape", s.i+1, c)
		case c != '\\':
			out = append(out, c)
			s.i++
		default:
			var err error
			if out, err = s.escape(out); err != nil {
				return nil, err
			}
		}
	}
	return nil, errCut
}

// escapes are JSON's escapes of one character.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads one escape, whose backslash is next.
func (s *scanner) escape(out []byte) ([]byte, error) {
	if s.i+1 >= len(s.b) {
		return nil, errCut
	}
	if c := s.b[s.i+1]; c != 'u' {
		if escapes[c] == 0 {
			r, _ := utf8.DecodeRune(s.b[s.i+1:])
			return nil, fmt.Errorf("column %d: %q behind a backslash is no escape of JSON", s.i+1, r)
		}
		s.i += 2
		return append(out, escapes[c]), nil
	}
	at := s.i
	r, err := s.hex4()
	if err != nil {
		return nil, err
	}
	if utf16.IsSurrogate(r) {
		if s.i >= len(s.b) || s.i+1 == len(s.b) && s.b[s.i] == '\\' {
			return nil, errCut
		}
		low := rune(-1)
		if s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
			if low, err = s.hex4(); err != nil {
				return nil, err
			}
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return nil, fmt.Errorf("column %d: half a surrogate pair is no character", at+1)
		}
	}
	return utf8.AppendRune(out, r), nil
}

// hex4 reads \uXXXX, of which the first two bytes were seen.
func (s *scanner) hex4() (rune, error) {
	const size = len(`\uXXXX`)
	var r rune
	for n := len(`\u`); n < size; n++ {
		if s.i+n >= len(s.b) {
			return 0, errCut
		}
		switch c := s.b[s.i+n]; {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, fmt.Errorf("column %d: \\u wants four hex digits", s.i+1)
		}
	}
	s.i += size
	return r, nil
}

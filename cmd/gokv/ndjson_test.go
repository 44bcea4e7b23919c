package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tochemey/gokv/client"
)

var testVersion = client.Version{0x01, 0x9c, 15: 0xff}

func TestAnEntryIsALineOfItsKeyValueVersionAndExpiry(t *testing.T) {
	expiry := time.Date(2026, 1, 2, 16, 4, 5, 6_999_999, time.FixedZone("", 3600))
	for _, c := range []struct {
		name  string
		entry client.Entry
		want  string
	}{
		{
			"plain",
			client.Entry{Key: "svc/a", Value: []byte("hello"), Version: testVersion},
			`{"key":"svc/a","value":"aGVsbG8=","version":"019c00000000000000000000000000ff"}`,
		},
		{
			"expiry in UTC with milliseconds",
			client.Entry{Key: "k", Version: testVersion, ExpiresAt: expiry},
			`{"key":"k","value":"","version":"019c00000000000000000000000000ff","expires_at":"2026-01-02T15:04:05.006Z"}`,
		},
		{
			"binary key",
			client.Entry{Key: "\xff\x00", Value: []byte{0}, Version: testVersion},
			`{"key_base64":"/wA=","value":"AA==","version":"019c00000000000000000000000000ff"}`,
		},
		{
			"escapes",
			client.Entry{Key: "\"\\\n\r\t\x01<é>\u2028", Version: testVersion},
			`{"key":"\"\\\n\r\t\u0001<é>` + "\u2028" + `","value":"","version":"019c00000000000000000000000000ff"}`,
		},
		{
			"expiry past what RFC 3339 can say",
			client.Entry{Key: "k", Version: testVersion, ExpiresAt: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)},
			`{"key":"k","value":"","version":"019c00000000000000000000000000ff","expires_at":"9999-12-31T23:59:59.999Z"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want+"\n", string(appendEntry(nil, c.entry)))
		})
	}
	require.Equal(t, `{"key":"svc/a"}`+"\n", string(appendKeyOnly(nil, client.Entry{Key: "svc/a", Value: []byte("x")})))
}

func TestWhatExportWritesImportReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := client.Entry{
			Key:   string(rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 1, 40), rapid.Map(rapid.StringN(1, 20, -1), func(s string) []byte { return []byte(s) })).Draw(t, "key")),
			Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
		}
		if rapid.Bool().Draw(t, "expires") {
			e.ExpiresAt = time.UnixMilli(rapid.Int64Range(1, lastTime.UnixMilli()).Draw(t, "ms")).UTC()
		}
		line := appendEntry(nil, e)
		require.True(t, json.Valid(line), "%s", line)
		require.Equal(t, 1, bytes.Count(line, []byte("\n")))
		r, err := parseRecord(line[:len(line)-1])
		require.NoError(t, err, "%s", line)
		require.Equal(t, e.Key, r.key)
		require.True(t, bytes.Equal(e.Value, r.value))
		require.True(t, e.ExpiresAt.Equal(r.expiresAt))
	})
}

func TestLinesThatOthersWriteAreRead(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       record
	}{
		{"text for value", `{"key":"a","text":"héllo\n"}`, record{key: "a", value: []byte("héllo\n")}},
		{"empty text", `{"key":"a","text":""}`, record{key: "a"}},
		{"any order, spaces, carriage return", " {\t\"value\" : \"AA==\" , \"key\" : \"a\" } \r", record{key: "a", value: []byte{0}}},
		{"null is absent", `{"key":"a","text":"b","value":null,"expires_at":null,"version":null}`, record{key: "a", value: []byte("b")}},
		{"every escape", `{"key":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","text":"\u0000"}`, record{key: "\"\\/\b\f\n\r\té😀", value: []byte{0}}},
		{"key in base64", `{"key_base64":"YQ==","text":"b"}`, record{key: "a", value: []byte("b")}},
		{"escaped names", `{"\u006bey":"a","text":"b"}`, record{key: "a", value: []byte("b")}},
		{"another zone", `{"key":"a","text":"b","expires_at":"2026-01-02T03:04:05+01:00"}`, record{key: "a", value: []byte("b"), expiresAt: time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseRecord([]byte(c.line))
			require.NoError(t, err)
			require.Equal(t, c.want.key, r.key)
			require.Equal(t, string(c.want.value), string(r.value))
			require.True(t, c.want.expiresAt.Equal(r.expiresAt), r.expiresAt)
		})
	}
}

func TestABadLineIsToldWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`[1]`, `column 1: '[' instead of an object in braces`},
		{`{}`, `it has no key`},
		{`{"key":"","text":"b"}`, `the key is empty`},
		{`{"key_base64":"","text":"b"}`, `the key is empty`},
		{`{"key":"a"}`, `it has neither value nor text`},
		{`{"key":"a","text":null}`, `it has neither value nor text`},
		{`{"key":"a","key_base64":"YQ==","text":"b"}`, `it has both key and key_base64`},
		{`{"key":"a","text":"b","value":""}`, `it has both value and text`},
		{`{"key":"a","key":"b","text":"b"}`, `column 16: a second key`},
		{`{"Key":"a","text":"b"}`, `column 2: unknown name "Key", known are key, key_base64, value, text, version, expires_at`},
		{`{"key":1,"text":"b"}`, `column 8: '1' instead of key as a string in quotes`},
		{`{"key":nil,"text":"b"}`, `column 8: 'n' instead of key as a string in quotes`},
		{`{"key":"a","text":{"b":1}}`, `column 19: '{' instead of text as a string in quotes`},
		{`{"key":"a" "text":"b"}`, `column 12: '"' instead of a comma or a closing brace`},
		{`{"key":"a",}`, `column 12: '}' instead of a name in quotes`},
		{`{"key":"a","text":"b"} x`, `column 24: 'x' instead of the end of the line`},
		{`{"key":"a","text":"b"}{}`, `column 23: '{' instead of the end of the line`},
		{`{"key":"a","value":"?"}`, `value: illegal base64 data at input byte 0 (text takes a value as it is)`},
		{`{"key_base64":"YQ","text":"b"}`, `key_base64: illegal base64 data at input byte 0`},
		{`{"key":"a","text":"b","expires_at":"tomorrow"}`, `expires_at is "tomorrow": not RFC 3339, such as 2026-01-02T15:04:05.000Z`},
		{"{\"key\":\"\xff\",\"text\":\"b\"}", `key: column 9: the string is not UTF-8: key_base64 and value take any bytes`},
		{"{\"key\":\"\\n\xff\",\"text\":\"b\"}", `key: column 9: the string is not UTF-8: key_base64 and value take any bytes`},
		{"{\"key\":\"\t\",\"text\":\"b\"}", `key: column 9: control character 0x09 in a string, which JSON writes as an escape`},
		{`{"key":"\x41","text":"b"}`, `key: column 9: 'x' behind a backslash is no escape of JSON`},
		{`{"key":"\u00g0","text":"b"}`, `key: column 9: \u wants four hex digits`},
		{`{"key":"\ud83d","text":"b"}`, `key: column 9: half a surrogate pair is no character`},
		{`{"key":"\ud83d\u0041","text":"b"}`, `key: column 9: half a surrogate pair is no character`},
		{`{"key":"\ude00\ud83d","text":"b"}`, `key: column 9: half a surrogate pair is no character`},
	} {
		t.Run(c.line, func(t *testing.T) {
			_, err := parseRecord([]byte(c.line))
			require.EqualError(t, err, c.want)
			require.NotErrorIs(t, err, errCut)
		})
	}
}

func TestEveryTruncationOfALineIsSeenAsOne(t *testing.T) {
	line := `{"key":"a\n\ud83d\ude00","version":null,"value":"aGVsbG8=","expires_at":"2026-01-02T15:04:05.000Z"}`
	_, err := parseRecord([]byte(line))
	require.NoError(t, err)
	for n := range len(line) {
		if n == 0 {
			continue // a blank line is skipped, not parsed
		}
		_, err := parseRecord([]byte(line[:n]))
		require.ErrorIs(t, err, errCut, line[:n])
	}
}

// FuzzParseRecord holds the parser against encoding/json, which takes more: what
// is a record here is the same there, and is written and read again unchanged.
func FuzzParseRecord(f *testing.F) {
	for _, s := range []string{
		`{"key":"a","value":"aGVsbG8=","version":"00","expires_at":"2026-01-02T15:04:05.000Z"}`,
		`{"key_base64":"/wA=","text":"\ud83d\ude00\u0000"}`,
		`{"key":"a","text":null}`,
		`{"key":"\ud83d"`,
		"{\"key\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRecord(line)
		if err != nil {
			if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Fatalf("%q: the error is not fit to print: %q", line, err)
			}
			return
		}
		var j struct {
			Key       *string `json:"key"`
			KeyBase64 *string `json:"key_base64"`
			Value     *string `json:"value"`
			Text      *string `json:"text"`
		}
		require.NoError(t, json.Unmarshal(line, &j), "%q", line)
		key, value := "", ""
		switch {
		case j.Key != nil:
			key = *j.Key
		case j.KeyBase64 != nil:
			b, err := base64.StdEncoding.DecodeString(*j.KeyBase64)
			require.NoError(t, err)
			key = string(b)
		}
		switch {
		case j.Text != nil:
			value = *j.Text
		case j.Value != nil:
			b, err := base64.StdEncoding.DecodeString(*j.Value)
			require.NoError(t, err)
			value = string(b)
		}
		require.Equal(t, key, r.key)
		require.Equal(t, value, string(r.value))

		again, err := parseRecord(bytes.TrimSuffix(appendEntry(nil, client.Entry{Key: r.key, Value: r.value, ExpiresAt: r.expiresAt}), []byte("\n")))
		require.NoError(t, err)
		require.Equal(t, r.key, again.key)
		require.Equal(t, string(r.value), string(again.value))
	})
}

package debindex

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Stats is what WriteNDJSON did.
type Stats struct {
	Packages   int   // lines written
	Duplicates int   // stanzas left out, their key having been seen
	TextBytes  int64 // of the stanzas written
}

// object is a line of the output. Value stands for Text where the stanza is not
// UTF-8, for a JSON string would not carry its bytes.
type object struct {
	Key   string `json:"key"`
	Text  string `json:"text,omitempty"`
	Value []byte `json:"value,omitempty"`
}

// WriteNDJSON reads the index from r and writes an object a package to w, in the
// index's order.
func WriteNDJSON(w io.Writer, r io.Reader) (Stats, error) {
	var (
		stats Stats
		in    = NewReader(r)
		out   = bufio.NewWriterSize(w, 64<<10)
		lines = json.NewEncoder(out)
		seen  = make(map[string]struct{})
	)
	lines.SetEscapeHTML(false)
	for {
		p, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return stats, err
		}
		key := p.Key()
		if _, ok := seen[key]; ok {
			stats.Duplicates++
			continue
		}
		seen[key] = struct{}{}
		if !utf8.ValidString(key) {
			return stats, fmt.Errorf("debian index: line %d: the key %q is not UTF-8", p.Line, key)
		}
		o := object{Key: key}
		if utf8.Valid(p.Text) {
			o.Text = string(p.Text)
		} else {
			o.Value = p.Text
		}
		if err := lines.Encode(o); err != nil {
			return stats, fmt.Errorf("write ndjson: %w", err)
		}
		stats.Packages++
		stats.TextBytes += int64(len(p.Text))
	}
	if err := out.Flush(); err != nil {
		return stats, fmt.Errorf("write ndjson: %w", err)
	}
	return stats, nil
}

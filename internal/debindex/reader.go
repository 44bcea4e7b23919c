package debindex

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxStanza bounds one stanza in bytes: gokv's default limit on a value.
const MaxStanza = 1 << 20

// Package is one stanza of the index.
type Package struct {
	Name, Version, Architecture string
	// Text is the stanza as it stands, without the newline that ends it.
	Text []byte
	// Line is where the stanza begins, from 1.
	Line int
}

// Key is the package's key in the store.
func (p Package) Key() string {
	return "deb/" + p.Name + "/" + p.Version + "/" + p.Architecture
}

// Reader reads stanzas. It is not safe for concurrent use.
type Reader struct {
	in   *bufio.Reader
	line int
	text []byte
}

// NewReader returns a Reader of the index in r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 64<<10)}
}

// Next returns the next stanza, and io.EOF after the last one. The Package's Text
// is valid until the next call. After another error the Reader is of no more use.
func (r *Reader) Next() (Package, error) {
	p := Package{}
	r.text = r.text[:0]
	for {
		start := len(r.text)
		err := r.readLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return Package{}, err
		}
		line := r.text[start:]
		ended := errors.Is(err, io.EOF) && len(line) == 0

		// deb822(5): a line of blanks alone separates stanzas too.
		if blank := len(bytes.Trim(line, " \t\r\n")) == 0; blank || ended {
			r.text = r.text[:start]
			switch {
			case start > 0:
				return r.finish(p)
			case ended:
				return Package{}, io.EOF
			}
			continue
		}
		if start == 0 {
			p.Line = r.line
		}
		if err := r.field(&p, line); err != nil {
			return Package{}, err
		}
	}
}

// readLine appends the next line, its newline included, to r.text.
func (r *Reader) readLine() error {
	r.line++
	for {
		part, err := r.in.ReadSlice('\n')
		if len(r.text)+len(part) > MaxStanza {
			return fmt.Errorf("debian index: line %d: the stanza is longer than the limit of %d bytes", r.line, MaxStanza)
		}
		r.text = append(r.text, part...)
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return err
		case errors.Is(err, bufio.ErrBufferFull):
			// A long line: the rest of it follows.
		default:
			return fmt.Errorf("debian index: line %d: %w", r.line, err)
		}
	}
}

// field takes note of a line that is one of the fields that make the key.
func (r *Reader) field(p *Package, line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		if len(line) == len(r.text) {
			return fmt.Errorf("debian index: line %d: a continuation line with nothing before it", r.line)
		}
		return nil
	}
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return fmt.Errorf("debian index: line %d: neither a field nor a continuation of one", r.line)
	}
	var into *string
	switch string(name) {
	case "Package":
		into = &p.Name
	case "Version":
		into = &p.Version
	case "Architecture":
		into = &p.Architecture
	default:
		return nil
	}
	if *into != "" {
		return fmt.Errorf("debian index: line %d: a second %s field in the stanza", r.line, name)
	}
	*into = string(bytes.TrimSpace(value))
	if *into == "" {
		return fmt.Errorf("debian index: line %d: the %s field is empty", r.line, name)
	}
	return nil
}

func (r *Reader) finish(p Package) (Package, error) {
	for _, f := range []struct{ name, value string }{
		{"Package", p.Name}, {"Version", p.Version}, {"Architecture", p.Architecture},
	} {
		if f.value == "" {
			return Package{}, fmt.Errorf("debian index: line %d: the stanza that begins here has no %s field", p.Line, f.name)
		}
	}
	p.Text = bytes.TrimSuffix(r.text, []byte{'\n'})
	return p, nil
}

package setting

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Value is one setting's place in a configuration, read and written as text.
// It has the methods that the flag and pflag packages ask of a value.
type Value interface {
	String() string
	Set(text string) error
	Type() string
}

// Setting is a row of a configuration table: a flag --Name, an environment
// variable GOKV_NAME and a YAML key name, for one field.
type Setting struct {
	Name    string
	Default string // as the reference shows it; the value holds it already
	Usage   string
	Value   Value
}

// Row is a Setting in one line.
func Row(name, def, usage string, value Value) Setting {
	return Setting{Name: name, Default: def, Usage: usage, Value: value}
}

// Env is the setting's environment variable.
func (s Setting) Env() string {
	return "GOKV_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// Filled gives each row without a default the one that its value holds.
func Filled(rows []Setting) []Setting {
	for i := range rows {
		if rows[i].Default == "" {
			rows[i].Default = rows[i].Value.String()
		}
	}
	return rows
}

// field is a Value over a pointer, a parser and a printer.
type field[T any] struct {
	at    *T
	kind  string
	parse func(string) (T, error)
	print func(T) string
}

func (f field[T]) String() string {
	if f.at == nil {
		return ""
	}
	return f.print(*f.at)
}

func (f field[T]) Type() string { return f.kind }

func (f field[T]) Set(text string) error {
	v, err := f.parse(text)
	if err != nil {
		return err
	}
	*f.at = v
	return nil
}

// IsBoolFlag lets a boolean stand without a value on the command line.
func (f field[T]) IsBoolFlag() bool { return f.kind == "bool" }

// Text is any text.
func Text(at *string) Value {
	same := func(s string) string { return s }
	return field[string]{at, "string", func(s string) (string, error) { return s, nil }, same}
}

// FilledText is a text that cannot be set to nothing, which would mean the
// default without a word.
func FilledText(at *string) Value {
	return field[string]{at, "string", func(s string) (string, error) {
		if s == "" {
			return "", errors.New("is empty")
		}
		return s, nil
	}, func(s string) string { return s }}
}

// List is texts with commas between; the empty text is no item.
func List(at *[]string) Value {
	return field[[]string]{at, "list", func(s string) ([]string, error) {
		var out []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		if len(out) == 0 && s != "" {
			return nil, fmt.Errorf("%q names nothing: values and commas, or the empty string for none", s)
		}
		return out, nil
	}, func(l []string) string { return strings.Join(l, ",") }}
}

// Duration is a duration above zero, with a unit.
func Duration(at *time.Duration) Value {
	return field[time.Duration]{at, "duration", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is no duration such as 500ms, 10s or 1m", s)
		}
		if d <= 0 {
			return 0, fmt.Errorf("%q: a duration above zero", s)
		}
		return d, nil
	}, time.Duration.String}
}

// Size is a number of bytes above zero, with or without a unit.
func Size(at *int64) Value {
	return field[int64]{at, "size", func(s string) (int64, error) {
		n, err := humanize.ParseBytes(s)
		if err != nil || n > 1<<62 {
			return 0, fmt.Errorf("%q is no size such as 4096, 64KiB or 1MiB", s)
		}
		if n == 0 {
			return 0, fmt.Errorf("%q: a size above zero", s)
		}
		return int64(n), nil
	}, FormatSize}
}

// OptionalSize is a Size that prints as nothing where there is none.
func OptionalSize(at *int64) Value {
	v := Size(at).(field[int64])
	v.print = func(n int64) string {
		if n == 0 {
			return ""
		}
		return FormatSize(n)
	}
	return v
}

// Bool is true or false.
func Bool(at *bool) Value {
	return field[bool]{at, "bool", func(s string) (bool, error) {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("%q is neither true nor false", s)
		}
		return b, nil
	}, strconv.FormatBool}
}

// FormatSize prints a size in the largest unit that divides it.
func FormatSize(n int64) string {
	switch {
	case n != 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n != 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// RoundSize prints a size for people.
func RoundSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Int is a whole number from least to most.
func Int(at *int, least, most int) Value {
	return field[int]{at, "number", func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%q is no whole number from %d to %d", s, least, most)
		}
		return n, nil
	}, strconv.Itoa}
}

// Labels are pairs key=value with commas between.
func Labels(at *map[string]string) Value {
	return field[map[string]string]{at, "labels", func(s string) (map[string]string, error) {
		labels := make(map[string]string)
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			key, value, ok := strings.Cut(part, "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			if _, twice := labels[key]; !ok || key == "" || twice {
				return nil, fmt.Errorf("%q is no label such as app=gokv, or stands twice", part)
			}
			labels[key] = value
		}
		if len(labels) == 0 && s != "" {
			return nil, fmt.Errorf("%q names nothing: key=value and commas, or the empty string for none", s)
		}
		return labels, nil
	}, func(labels map[string]string) string {
		pairs := make([]string, 0, len(labels))
		for k, v := range labels {
			pairs = append(pairs, k+"="+v)
		}
		slices.Sort(pairs)
		return strings.Join(pairs, ",")
	}}
}

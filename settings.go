package gokv

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Value is one setting's place in a Config, read and written as text. It has
// the methods that the flag and pflag packages ask of a value.
type Value interface {
	String() string
	Set(text string) error
	Type() string
}

// Setting is a row of the configuration table: a flag --Name, an environment
// variable GOKV_NAME and a YAML key name, for one field of a Config.
type Setting struct {
	Name    string
	Default string // as the reference shows it; the value holds it already
	Usage   string
	Value   Value
}

// Env is the setting's environment variable.
func (s Setting) Env() string {
	return "GOKV_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// Settings returns the table of all settings, bound to c's fields, which it
// fills with gokv-node's defaults where they are zero (the listeners' for
// clients and HTTP included).
func (c *Config) Settings() []Setting {
	d := c.withDefaults()
	if d.ClientAddr == "" {
		d.ClientAddr = DefaultClientAddr
	}
	if d.HTTPAddr == "" {
		d.HTTPAddr = DefaultHTTPAddr
	}
	*c = d
	rows := []Setting{
		{"name", "host name:peer port", "the member's `name`, one a live node", filledValue(&c.Name)},
		{"cluster", "", "the cluster's `name`; nodes of another never join", filledValue(&c.Cluster)},
		{"peer-addr", "", "UDP `host:port` for peers", filledValue(&c.PeerAddr)},
		{"client-addr", "", "`host:port` for clients: QUIC on UDP, TLS on TCP", textValue(&c.ClientAddr)},
		{"http-addr", "", "`host:port` of /metrics, /healthz and /readyz", textValue(&c.HTTPAddr)},
		{"advertise-addr", "peer-addr", "`host:port` that peers dial", textValue(&c.AdvertiseAddr)},
		{"join", "none", "peers' addresses, `host:port,…`; alone and ready at once without", listValue(&c.Join)},
		{"sync-interval", "", "`pause` between anti-entropy rounds, 10ms to 1h", durationValue(&c.SyncInterval)},
		{"tls-ca", "none", "PEM `file` of the authority that signs members and clients (mutual TLS)", textValue(&c.TLSCA)},
		{"tls-cert", "none", "PEM `file` of this node's certificate", textValue(&c.TLSCert)},
		{"tls-key", "none", "PEM `file` of this node's key", textValue(&c.TLSKey)},
		{"secret-file", "none", "`file` of cluster secrets, one a line: the first signs, all verify", textValue(&c.SecretFile)},
		{"max-value-size", "", "largest value, a `size` up to 15MiB, the same on all members", sizeValue(&c.MaxValueSize)},
		{"max-clock-skew", "", "how far `ahead` of the wall clock a version may be, 10ms to 1m", durationValue(&c.MaxClockSkew)},
		{"insecure", "", "allow addresses that are not loopback without TLS files or secret", boolValue(&c.Insecure)},
	}
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

func textValue(at *string) Value {
	same := func(s string) string { return s }
	return field[string]{at, "string", func(s string) (string, error) { return s, nil }, same}
}

// filledValue is a text that cannot be set to nothing, which would mean the
// default without a word.
func filledValue(at *string) Value {
	return field[string]{at, "string", func(s string) (string, error) {
		if s == "" {
			return "", errors.New("is empty")
		}
		return s, nil
	}, func(s string) string { return s }}
}

func listValue(at *[]string) Value {
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

func durationValue(at *time.Duration) Value {
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

func sizeValue(at *int64) Value {
	return field[int64]{at, "size", func(s string) (int64, error) {
		n, err := humanize.ParseBytes(s)
		if err != nil || n > 1<<62 {
			return 0, fmt.Errorf("%q is no size such as 4096, 64KiB or 1MiB", s)
		}
		if n == 0 {
			return 0, fmt.Errorf("%q: a size above zero", s)
		}
		return int64(n), nil
	}, formatSize}
}

func boolValue(at *bool) Value {
	return field[bool]{at, "bool", func(s string) (bool, error) {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("%q is neither true nor false", s)
		}
		return b, nil
	}, strconv.FormatBool}
}

// formatSize prints a size in the largest unit that divides it.
func formatSize(n int64) string {
	switch {
	case n != 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n != 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

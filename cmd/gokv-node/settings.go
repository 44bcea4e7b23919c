package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sort"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/tochemey/gokv"
)

// options is the daemon's whole configuration: the node's, and what only a
// process of its own has.
type options struct {
	gokv.Config
	providers providers
	logLevel  choice
	logFormat choice

	config  string
	version bool
}

// choice is a value that is one of a few words.
type choice struct {
	word    string
	allowed []string
}

func (c *choice) String() string { return c.word }
func (c *choice) Type() string   { return "word" }

func (c *choice) Set(text string) error {
	for _, w := range c.allowed {
		if w == text {
			c.word = text
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", text, strings.Join(c.allowed, ", "))
}

// table is the one list that flags, environment and YAML come from.
func (o *options) table() []gokv.Setting {
	o.logLevel = choice{"info", []string{"debug", "info", "warn", "error"}}
	o.logFormat = choice{"text", []string{"text", "json"}}
	return append(append(o.Settings(), o.providers.table()...),
		gokv.Setting{Name: "log-level", Default: "info", Usage: "least `level` that is logged: debug, info, warn or error", Value: &o.logLevel},
		gokv.Setting{Name: "log-format", Default: "text", Usage: "`form` of the log: text or json", Value: &o.logFormat},
	)
}

// parse fills o from the command line, the environment and the YAML file.
// pflag.ErrHelp is returned when help was asked for, and printed to out.
func (o *options) parse(args []string, env func(string) (string, bool), out io.Writer) error {
	rows := o.table()
	flags := pflag.NewFlagSet("gokv-node", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	for _, r := range rows {
		f := flags.VarPF(r.Value, r.Name, "", r.Usage)
		f.DefValue = r.Default
		if r.Value.Type() == "bool" {
			f.NoOptDefVal = "true"
		}
	}
	flags.StringVar(&o.config, "config", "", "YAML `file` with these settings as keys")
	flags.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			_, err := fmt.Fprintf(out, "gokv-node runs one member of a gokv cluster.\n\n%s\n"+
				"Each setting is an environment variable too: GOKV_ and its name in upper case,\n"+
				"dashes as underscores. A flag beats the environment, which beats the file.\n", flags.FlagUsages())
			return errors.Join(pflag.ErrHelp, err)
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: gokv-node takes flags alone", flags.Arg(0))
	}

	if o.config == "" {
		o.config, _ = env("GOKV_CONFIG")
	}
	file, err := readYAML(o.config, rows)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if flags.Changed(r.Name) {
			continue
		}
		if text, ok := env(r.Env()); ok {
			if err := r.Value.Set(text); err != nil {
				return fmt.Errorf("%s: %w", r.Env(), err)
			}
		} else if text, ok := file[r.Name]; ok {
			if err := r.Value.Set(text); err != nil {
				return fmt.Errorf("%s: %s: %w", o.config, r.Name, err)
			}
		}
	}
	if err := o.Validate(); err != nil {
		return err
	}
	return o.providers.provide(&o.Config)
}

// readYAML returns the file's settings as text by name. A list may be
// written as a YAML sequence. Every key must be a row of the table.
func readYAML(path string, rows []gokv.Setting) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var doc map[string]yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", path, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	known := make(map[string]bool, len(rows))
	for _, r := range rows {
		known[r.Name] = true
	}
	names := make([]string, 0, len(doc))
	for name := range doc {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return doc[names[i]].Line < doc[names[j]].Line })
	file := make(map[string]string, len(doc))
	for _, name := range names {
		node := doc[name]
		if !known[name] {
			return nil, fmt.Errorf("%s:%d: unknown key %q", path, node.Line, name)
		}
		text, err := scalar(&node)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", path, node.Line, name, err)
		}
		file[name] = text
	}
	return file, nil
}

func scalar(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", errors.New("no value")
		}
		return n.Value, nil
	case yaml.SequenceNode:
		parts := make([]string, len(n.Content))
		for i, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return "", fmt.Errorf("item %d is not a plain value", i+1)
			}
			parts[i] = c.Value
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("neither a plain value nor a list")
}

// logger writes to out as the options say.
func (o *options) logger(out io.Writer) *slog.Logger {
	var level slog.Level
	switch o.logLevel.word {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	case "error":
		level = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: level}
	if o.logFormat.word == "json" {
		return slog.New(slog.NewJSONHandler(out, opts))
	}
	return slog.New(slog.NewTextHandler(out, opts))
}

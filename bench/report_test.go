package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFiguresPrintAsATableAndAsJSON(t *testing.T) {
	figures := []figure{
		{Workload: "round", Name: "UDP payload", Value: 4242, Unit: "B"},
		{Workload: "latency", Name: "median", Value: 0.314, Unit: "ms", Target: 0.3},
		{Workload: "engine", Name: "list", Value: 2.5, Unit: "M/s", Target: 2, AtLeast: true},
	}
	for format, want := range map[string]string{
		"table": "round    UDP payload  4242  B\n" +
			"latency  median       0.31  ms   at most 0.3: missed\n" +
			"engine   list         2.50  M/s  at least 2: met\n",
		"json": `{"workload":"round","name":"UDP payload","value":4242,"unit":"B"}` + "\n" +
			`{"workload":"latency","name":"median","value":0.314,"unit":"ms","target":0.3}` + "\n" +
			`{"workload":"engine","name":"list","value":2.5,"unit":"M/s","target":2,"at_least":true}` + "\n",
	} {
		print, err := printer(format)
		require.NoError(t, err)
		var out bytes.Buffer
		require.NoError(t, print(&out, figures))
		require.Equal(t, want, out.String())
	}
	_, err := printer("xml")
	require.ErrorContains(t, err, `output "xml": table or json`)
}

func TestPercentilesAreOfTheSortedSamples(t *testing.T) {
	var samples []time.Duration
	for i := range 200 {
		samples = append(samples, time.Duration(200-i)*time.Millisecond)
	}
	got := percentiles("w", "n", samples)
	require.Equal(t, 101.0, got[0].Value)
	require.Equal(t, 199.0, got[1].Value)
}

func TestTheDebianIndexGoesThroughTheCommand(t *testing.T) {
	cmd := command()
	var out, told bytes.Buffer
	cmd.SetArgs([]string{"debindex"})
	cmd.SetIn(strings.NewReader("Package: a\nVersion: 1\nArchitecture: all\n"))
	cmd.SetOut(&out)
	cmd.SetErr(&told)
	require.NoError(t, cmd.Execute())
	require.Equal(t, `{"key":"deb/a/1/all","text":"Package: a\nVersion: 1\nArchitecture: all"}`+"\n", out.String())
	require.Contains(t, told.String(), "1 packages")
}

func TestUnknownCommandsAndFormatsAreErrors(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"--nonsense"}, {"idle", "extra"}, {"idle", "-o", "xml"}} {
		cmd := command()
		cmd.SetArgs(args)
		cmd.SetOut(&bytes.Buffer{})
		require.Error(t, cmd.Execute(), args)
	}
}

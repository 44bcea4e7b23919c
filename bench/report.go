package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/tochemey/gokv/internal/benchfig"
)

type figure = benchfig.Figure

// verdict is the target and whether it is met, empty if there is none.
func verdict(f figure) string {
	bound, met := "at most", f.Value <= f.Target
	if f.AtLeast {
		bound, met = "at least", f.Value >= f.Target
	}
	switch {
	case f.Target == 0:
		return ""
	case met:
		return fmt.Sprintf("%s %g: met", bound, f.Target)
	}
	return fmt.Sprintf("%s %g: missed", bound, f.Target)
}

// printer returns the function that prints figures in a format.
func printer(format string) (func(io.Writer, []figure) error, error) {
	switch format {
	case "table":
		return printTable, nil
	case "json":
		return benchfig.PrintJSON, nil
	}
	return nil, fmt.Errorf("output %q: table or json", format)
}

func printTable(w io.Writer, figures []figure) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		decimals := 2
		if f.Value == float64(int64(f.Value)) || f.Value >= 1000 {
			decimals = 0
		}
		fmt.Fprintf(table, "%s\t%s\t%.*f\t%s", f.Workload, f.Name, decimals, f.Value, f.Unit)
		if v := verdict(f); v != "" {
			fmt.Fprintf(table, "\t%s", v)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// percentiles turns samples into figures: median and 99th percentile, in ms.
func percentiles(workload, name string, samples []time.Duration) []figure {
	slices.Sort(samples)
	at := func(p float64) float64 {
		i := int(p * float64(len(samples)))
		return float64(samples[min(i, len(samples)-1)].Microseconds()) / 1000
	}
	return []figure{
		{Workload: workload, Name: name + ", median", Value: at(0.50), Unit: "ms"},
		{Workload: workload, Name: name + ", 99th percentile", Value: at(0.99), Unit: "ms"},
	}
}

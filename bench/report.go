package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// figure is one measured number.
type figure struct {
	Workload string  `json:"workload"`
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
}

// printer returns the function that prints figures in a format.
func printer(format string) (func(io.Writer, []figure) error, error) {
	switch format {
	case "table":
		return printTable, nil
	case "json":
		return printJSON, nil
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
		fmt.Fprintf(table, "%s\t%s\t%.*f\t%s\n", f.Workload, f.Name, decimals, f.Value, f.Unit)
	}
	return table.Flush()
}

func printJSON(w io.Writer, figures []figure) error {
	lines := json.NewEncoder(w)
	for _, f := range figures {
		if err := lines.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// percentiles turns samples into figures: median and 99th percentile, in ms.
func percentiles(workload, name string, samples []time.Duration) []figure {
	slices.Sort(samples)
	at := func(p float64) float64 {
		i := int(p * float64(len(samples)))
		return float64(samples[min(i, len(samples)-1)].Microseconds()) / 1000
	}
	return []figure{
		{workload, name + ", median", at(0.50), "ms"},
		{workload, name + ", 99th percentile", at(0.99), "ms"},
	}
}

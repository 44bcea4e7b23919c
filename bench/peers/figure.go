package main

import (
	"encoding/json"
	"io"
)

// figure is one measured number, in the form that bench prints.
type figure struct {
	Workload string  `json:"workload"`
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	// Target is what it should be at most, or at least if AtLeast is set; none if zero.
	Target  float64 `json:"target,omitempty"`
	AtLeast bool    `json:"at_least,omitempty"`
}

func printFigures(w io.Writer, figures []figure) error {
	lines := json.NewEncoder(w)
	for _, f := range figures {
		if err := lines.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

package benchfig

import (
	"encoding/json"
	"io"
)

// Figure is one measured number.
type Figure struct {
	Workload string  `json:"workload"`
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	// Target is what it should be at most, or at least if AtLeast is set; none if zero.
	Target  float64 `json:"target,omitempty"`
	AtLeast bool    `json:"at_least,omitempty"`
}

// PrintJSON writes figures, an object a line.
func PrintJSON(w io.Writer, figures []Figure) error {
	lines := json.NewEncoder(w)
	for _, f := range figures {
		if err := lines.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTwoStoresAreRepairedWhateverDiffers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plot.svg")
	o := syncOptions{entries: 2_000, valueBytes: 20, differing: []int{0, 1, 5, 100, 2_000}, seeds: 2, breakdown: true, plot: file}
	figures, err := measureSync(t.Context(), o)
	require.NoError(t, err)
	for _, d := range o.differing[1:] {
		name := fmt.Sprintf("d=%d: bytes beyond the entries, both ways, median", d)
		require.Positive(t, named(t, figures, name))
		// Two differences that look alike to each other go over whole.
		require.LessOrEqual(t, named(t, figures, fmt.Sprintf("d=%d: entries sent for nothing, worst", d)), float64(d)/100)
	}
	svg, err := os.ReadFile(file)
	require.NoError(t, err)
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
	}
	_, err = measureSync(t.Context(), syncOptions{entries: 10, differing: []int{11}})
	require.ErrorContains(t, err, "differing 11: 0 to 10")
}

// The same seed sends the same bytes, so that two versions can be compared.
func TestASeedSendsTheSameBytesAgain(t *testing.T) {
	o := syncOptions{entries: 1_000, valueBytes: 20, differing: []int{50}, seeds: 1}
	var bytes [2]float64
	for i := range bytes {
		figures, err := measureSync(t.Context(), o)
		require.NoError(t, err)
		bytes[i] = named(t, figures, "d=50: bytes beyond the entries, both ways, median")
	}
	require.Equal(t, bytes[0], bytes[1])
}

// Each protocol was also simulated, entry by entry, for a million of them; the
// formulas stay within a fifth of that.
func TestTheFormulasOfOthersAgreeWithTheirSimulation(t *testing.T) {
	const kB, MB = 1e3, 1e6
	for i, want := range [][4]float64{
		{53 * kB, 1.9 * MB, 13 * MB, 29 * MB},
		{1.05 * MB, 1.05 * MB, 1.06 * MB, 1.55 * MB},
		{2.5 * kB, 175 * kB, 1.44 * MB, 54 * MB},
		{297, 4.3 * kB, 40.5 * kB, 3.4 * MB},
	} {
		for j, d := range []float64{1, 100, 1_000, 100_000} {
			require.InEpsilon(t, want[j], rivals[i].cost(1e6, d), 0.2, "%s, d=%.0f", rivals[i].name, d)
		}
	}
}

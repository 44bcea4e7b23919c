package debindex

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNDJSONKeepsOrderAndTheFirstOfEachKey(t *testing.T) {
	again := "Package: 0ad\nVersion: 1:0.0.26-3+b1~rc\nArchitecture: amd64\nFilename: elsewhere\n"
	var out bytes.Buffer
	stats, err := WriteNDJSON(&out, strings.NewReader(twoStanzas+"\n"+again))
	require.NoError(t, err)
	require.Equal(t, 2, stats.Packages)
	require.Equal(t, 1, stats.Duplicates)
	require.Equal(t, `{"key":"deb/0ad/1:0.0.26-3+b1~rc/amd64","text":"Package: 0ad\nVersion: 1:0.0.26-3+b1~rc\nArchitecture: amd64\nTag: game::strategy,\n uitoolkit::sdl\nDescription: Real-time strategy game"}
{"key":"deb/zzuf/0.15/all","text":"Package: zzuf\nArchitecture: all\nVersion: 0.15"}
`, out.String())
}

func TestMarkupStaysReadableAndBytesThatAreNotUTF8Survive(t *testing.T) {
	index := "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b> & C\n\n" +
		"Package: b\nVersion: 1\nArchitecture: all\nMaintainer: \xe9mile\n"
	var out bytes.Buffer
	_, err := WriteNDJSON(&out, strings.NewReader(index))
	require.NoError(t, err)
	require.Contains(t, out.String(), `A <a@b> & C`)

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var latin1 object
	require.NoError(t, json.Unmarshal([]byte(lines[1]), &latin1))
	require.Empty(t, latin1.Text)
	require.Equal(t, "Package: b\nVersion: 1\nArchitecture: all\nMaintainer: \xe9mile", string(latin1.Value))
}

func TestAKeyThatIsNotUTF8IsAnError(t *testing.T) {
	_, err := WriteNDJSON(&bytes.Buffer{}, strings.NewReader("Package: \xe9\nVersion: 1\nArchitecture: all\n"))
	require.ErrorContains(t, err, "line 1")
	require.ErrorContains(t, err, "not UTF-8")
}

func TestAStanzaInErrorEndsTheConversion(t *testing.T) {
	_, err := WriteNDJSON(&bytes.Buffer{}, strings.NewReader(twoStanzas+"\nPackage: b\n"))
	require.ErrorContains(t, err, "line 12")
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAWriteErrorIsPassedOn(t *testing.T) {
	_, err := WriteNDJSON(fullDisk{}, strings.NewReader(twoStanzas))
	require.ErrorContains(t, err, "no space left")
}

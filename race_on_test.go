//go:build race

package gokv_test

const raceEnabled = true

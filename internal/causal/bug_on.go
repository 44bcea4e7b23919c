//go:build plantedbug

package causal

var planted bug

func broken(b bug) bool { return b != none && b == planted }

//go:build !plantedbug

package causal

func broken(bug) bool { return false }

package main

// membershipPlots draws figures; see docs/membership.md.
func membershipPlots([]figure) map[string][]byte { return nil }

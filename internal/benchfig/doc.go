// Package benchfig is the form of a measured number, a [Figure]: what bench prints,
// and what bench/peers hands to bench, an object a line. They are modules of their
// own, and this is what both must agree on.
//
// It measures nothing, and has no opinion on how a table of figures looks: that is
// bench's report.go. A Figure is a plain value; PrintJSON may be called by several
// goroutines with writers of their own. It sets no limits.
package benchfig

// Package hostlist is static discovery: a fixed list of host:port addresses, as
// a [discovery.Provider]. It stands apart from discovery/static, its public
// face, because the root package uses it for Config.Join and imports no
// provider.
//
// Names are looked up at each attempt, and give all their addresses. A name
// that does not exist stays in the answer as it is: whoever dials it is told
// so, and counts it among the seeds that do not answer. A name that could not
// be looked up is an error of the attempt, beside the other addresses.
//
// A Provider holds nothing that has to be released. It may be used by many
// goroutines; at most 16 names are looked up at a time.
package hostlist

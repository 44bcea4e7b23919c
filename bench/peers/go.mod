// What gokv is measured beside, in a module of its own so that nobody who imports
// gokv downloads a competitor.
module github.com/tochemey/gokv/bench/peers

go 1.26.0

require (
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/tochemey/gokv v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dchest/siphash v1.2.3 // indirect
)

replace github.com/tochemey/gokv => ../..

// Package static is the discovery provider of a fixed list: the host:port of
// the peers' discovery ports, as --join gives it to gokv-node. A list may hold
// the node's own address, so that all nodes may have the same one, and seeds
// that are not there: they are asked again for as long as the node lives.
//
// Names are looked up at each attempt, and give all their addresses. One that
// does not exist is a seed that does not answer; one that could not be looked
// up makes the attempt fail, without its other addresses being lost.
//
// It is not for clusters whose members come and go with addresses of their own:
// DNS, NATS and Kubernetes are. A Provider may be used by many goroutines.
package static

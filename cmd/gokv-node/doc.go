// Command gokv-node runs one member of a gokv cluster as a daemon.
//
// Without a flag it starts a one-node cluster on loopback, prints its three
// addresses and serves. Every setting is a flag, an environment variable and
// a key of the YAML file that --config names; a flag beats the environment,
// which beats the file. SIGTERM and SIGINT hand unpushed writes over, leave
// the cluster, finish the requests in flight and exit 0; a second SIGINT ends
// the process at once.
//
// What cannot start says why in one line and exits 1; wrong use (an unknown
// flag or key, a bad value) exits 2.
package main

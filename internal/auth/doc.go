// Package auth makes the TLS configurations of gokv and runs the handshake in
// which the two ends of a connection prove that they belong together.
package auth

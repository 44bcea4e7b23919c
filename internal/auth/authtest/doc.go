// Package authtest makes the certificates that tests of mutual TLS need: a CA of
// its own for each test, certificates with the roles that the test names, and the
// files that hold them. It serves tests alone.
package authtest

// Package client is the Go client of gokv.
package client

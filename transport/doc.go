// Package transport connects a node with its peers and its clients.
package transport

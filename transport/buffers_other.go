//go:build !unix

package transport

import "net"

func readBufferSize(*net.UDPConn) (int, bool) { return 0, false }

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// redisConn speaks as much of Redis's protocol as a latency takes: one command at
// a time, and simple, integer and bulk replies.
type redisConn struct {
	addr *net.TCPAddr
	conn net.Conn
	in   *bufio.Reader
}

// redisTimeout bounds one command.
const redisTimeout = 10 * time.Second

func freeTCPAddr() (*net.TCPAddr, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	addr, _ := l.Addr().(*net.TCPAddr)
	return addr, l.Close()
}

// dialRedis connects as soon as the server listens.
func dialRedis(ctx context.Context, addr *net.TCPAddr) (*redisConn, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
		if err == nil {
			return &redisConn{addr: addr, conn: conn, in: bufio.NewReader(conn)}, nil
		}
		if pauseErr := pause(ctx, 10*time.Millisecond); pauseErr != nil {
			return nil, fmt.Errorf("redis-server at %s: %w", addr, err)
		}
	}
}

func (c *redisConn) close() { c.conn.Close() }

// waitForPrimary returns when a replica has its primary's data.
func (c *redisConn) waitForPrimary(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	for {
		info, err := c.do("INFO", "replication")
		if err != nil {
			return err
		}
		if strings.Contains(info, "master_link_status:up") {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("redis replica: never in step with its primary: %w", err)
		}
	}
}

// do sends a command and returns the reply's text.
func (c *redisConn) do(args ...string) (string, error) {
	var cmd strings.Builder
	fmt.Fprintf(&cmd, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&cmd, "$%d\r\n%s\r\n", len(a), a)
	}
	if err := c.conn.SetDeadline(time.Now().Add(redisTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c.conn, cmd.String()); err != nil {
		return "", fmt.Errorf("redis %s: %w", args[0], err)
	}
	head, err := c.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("redis %s: %w", args[0], err)
	}
	head = strings.TrimSuffix(head, "\r\n")
	if head == "" {
		return "", fmt.Errorf("redis %s: an empty reply", args[0])
	}
	switch head[0] {
	case '+', ':':
		return head[1:], nil
	case '$':
		size, err := strconv.Atoi(head[1:])
		if err != nil || size < 0 {
			return "", err // a null reply has no text
		}
		body := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(c.in, body); err != nil {
			return "", fmt.Errorf("redis %s: %w", args[0], err)
		}
		return string(body[:size]), nil
	}
	return "", fmt.Errorf("redis %s: %s", args[0], head)
}

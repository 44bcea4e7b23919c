package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ednsSize is what the DNS flag day of 2020 settled on: a datagram that no
// network has to fragment.
const ednsSize = 1232

// receiveSize leaves room for servers that send more than they were asked for.
const receiveSize = 4096

var (
	errTimeout = errors.New("timed out")
	errClosed  = errors.New("the provider is closed")
)

// exchange asks the servers for one call of DiscoverPeers. It may be used by
// many goroutines.
type exchange struct {
	settings

	mu    sync.Mutex
	order []string // the servers; those that did not answer come last
}

func newExchange(s settings) *exchange {
	return &exchange{settings: s, order: slices.Clone(s.servers)}
}

// failure is why a question got no answer.
type failure struct {
	q       question
	servers map[string]error // the last failure of each
	silent  bool             // no server said anything
	cause   error            // the call's end, if that came first
}

func (f *failure) Error() string {
	var each []string
	for addr, err := range f.servers {
		each = append(each, fmt.Sprintf("%s: %v", addr, err))
	}
	slices.Sort(each) // the text is logged when it changes
	text := fmt.Sprintf("%s: %s", f.q, strings.Join(each, "; "))
	switch {
	case f.cause == nil:
		return text
	case len(each) == 0:
		return fmt.Sprintf("%s: %v", f.q, f.cause)
	}
	return fmt.Sprintf("%s: %v", text, f.cause)
}

func (f *failure) Unwrap() []error {
	errs := make([]error, 0, len(f.servers)+1)
	for _, err := range f.servers {
		errs = append(errs, err)
	}
	if f.cause != nil {
		errs = append(errs, f.cause)
	}
	return errs
}

// ask puts q to the servers until one answers.
func (e *exchange) ask(ctx context.Context, q question) (answer, error) {
	f := &failure{q: q, servers: map[string]error{}, silent: true}
	left := e.attempts * len(e.servers)
	for range e.attempts {
		for _, addr := range e.inOrder() {
			if ctx.Err() != nil {
				f.cause = context.Cause(ctx)
				return answer{}, f
			}
			a, err := e.attempt(ctx, addr, q, left)
			if err == nil {
				return a, nil
			}
			left--
			if ctx.Err() != nil && len(f.servers) > 0 {
				continue // an attempt that was broken off says less than the one before
			}
			f.servers[addr] = err
			if _, ok := errors.AsType[unreachable](err); ok {
				e.demote(addr)
			} else {
				f.silent = false
			}
		}
	}
	if ctx.Err() != nil {
		f.cause = context.Cause(ctx)
	}
	return answer{}, f
}

func (e *exchange) inOrder() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.order)
}

func (e *exchange) demote(addr string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if i := slices.Index(e.order, addr); i >= 0 {
		e.order = append(slices.Delete(e.order, i, i+1), addr)
	}
}

// attempt asks one server once, as far as one answer needs it. left is how many
// attempts share what the call has left of its time, this one included.
func (e *exchange) attempt(ctx context.Context, addr string, q question, left int) (answer, error) {
	limit := e.timeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/time.Duration(left))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	query := newQuery(q, true)
	m, err := roundTrip(ctx, "udp", addr, query)
	if err == nil && refusesEDNS(m) {
		query = newQuery(q, false)
		m, err = roundTrip(ctx, "udp", addr, query)
	}
	if err == nil && m.Truncated {
		if m, err = roundTrip(ctx, "tcp", addr, query); err != nil {
			err = fmt.Errorf("by TCP, after an answer that is cut short: %w", err)
		}
	}
	if err != nil {
		return answer{}, err
	}
	return read(q, m)
}

func newQuery(q question, edns bool) *dns.Msg {
	m := new(dns.Msg).SetQuestion(q.name, q.qtype) // draws the ID; asks for recursion
	if edns {
		m.SetEdns0(ednsSize, false)
	}
	return m
}

// refusesEDNS tells answers of servers older than RFC 6891.
func refusesEDNS(m *dns.Msg) bool {
	switch m.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		return true
	}
	return false
}

// roundTrip sends query and returns what answers it. Its errors hold nothing
// that differs each time, such as the local port.
func roundTrip(ctx context.Context, network, addr string, query *dns.Msg) (*dns.Msg, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, plain(ctx, err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	conn := &dns.Conn{Conn: raw, UDPSize: receiveSize}
	if err := conn.WriteMsg(query); err != nil {
		return nil, plain(ctx, err)
	}
	datagram := network == "udp"
	strangers := 0
	for {
		packet, err := conn.ReadMsgHeader(nil)
		switch {
		case err == nil:
			m, err := parse(query, packet, datagram)
			if !datagram || !errors.Is(err, errStranger) {
				return m, err
			}
		case !datagram || !errors.Is(err, dns.ErrShortRead):
			err = plain(ctx, err)
			if strangers > 0 {
				err = fmt.Errorf("%w, after answers to other questions alone", err)
			}
			return nil, err
		}
		strangers++ // anybody may send datagrams: go on waiting for the right one
	}
}

// unreachable is the failure of a server that said nothing, as opposed to one
// that answers badly.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

// plain is a network's error without addresses, and with one name for each kind
// of time-out.
func plain(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ctx.Err() != nil, ok && timeout.Timeout():
		return unreachable{errTimeout}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unreachable{errors.New("the connection was closed before the answer's end")}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return unreachable{err}
}

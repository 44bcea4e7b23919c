package nats

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// maxServers bounds the list, and with it how long one attempt may take.
const maxServers = 32

// endpoint is one entry of nats-server. Its URL may hold a password or a token;
// what is printed is name.
type endpoint struct {
	url  string
	name string // host:port
}

// parseServers reads nats-server and names every entry that is wrong.
func parseServers(list string) ([]endpoint, error) {
	if strings.TrimSpace(list) == "" {
		return nil, errors.New("nats-server: empty: at least one nats://host:port")
	}
	var servers []endpoint
	var errs []error
	for entry := range strings.SplitSeq(list, ",") {
		s, err := parseServer(strings.TrimSpace(entry))
		if err != nil {
			errs = append(errs, fmt.Errorf("nats-server: %s: %w", withoutSecret(strings.TrimSpace(entry)), err))
			continue
		}
		servers = append(servers, s)
	}
	if len(servers) > maxServers {
		errs = append(errs, fmt.Errorf("nats-server: %d servers: at most %d", len(servers), maxServers))
	}
	return servers, errors.Join(errs...)
}

func parseServer(entry string) (endpoint, error) {
	if entry == "" {
		return endpoint{}, errors.New("an empty entry")
	}
	if !strings.Contains(entry, "://") {
		entry = "nats://" + entry
	}
	u, err := url.Parse(entry)
	if err != nil {
		// The error quotes what it could not read, password and all.
		return endpoint{}, errors.New("not a URL: nats://host:port or tls://host:port, with %xx for odd bytes of a password")
	}
	switch {
	case u.Scheme != "nats" && u.Scheme != "tls":
		return endpoint{}, errors.New("the scheme is neither nats:// nor tls://")
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "":
		return endpoint{}, errors.New("something stands after host:port")
	}
	if err := checkHost(u.Hostname()); err != nil {
		return endpoint{}, errors.New("the host is neither an IP address nor a name")
	}
	port := u.Port()
	if port == "" {
		port = "4222"
		u.Host = strings.TrimSuffix(u.Host, ":") + ":" + port
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return endpoint{}, errors.New("the port is not from 1 to 65535")
	}
	return endpoint{url: u.String(), name: u.Host}, nil
}

// withoutSecret is an entry, right or wrong, without what stands before its
// last @.
func withoutSecret(entry string) string {
	at := strings.LastIndexByte(entry, '@')
	if at < 0 {
		return strconv.Quote(entry)
	}
	scheme := ""
	if i := strings.Index(entry[:at], "://"); i >= 0 {
		scheme = entry[:i+3]
	}
	return strconv.Quote(scheme + "…" + entry[at:])
}

// Package dns is the discovery provider that asks the Domain Name System: for
// the SRV records of a name like _gokv._tcp.example.org, which give each peer's
// host and port, or for the A (with [Config].IPv6 the AAAA) records of a host
// name, which stand for peers that share one port. Kubernetes' headless
// Services, Consul, dnsmasq and any zone file publish such records.
//
// It publishes nothing itself, watches nothing, and does not read the hosts
// file: /etc/hosts and single fixed names are for package static. It validates
// no DNSSEC signature: whoever answers can keep peers apart, but an address is
// dialled only, and a peer is who proves that it belongs to the cluster.
//
// # What is asked
//
//	name ─► candidates: the name; with the system's servers, its search domains
//	          └─► A or AAAA ──────────────────────────────► ip:port of Config
//	          └─► SRV ─► targets ─► additional section, or
//	                                A or AAAA of the target ─► ip:port of SRV
//
// Questions go by UDP with EDNS0 and a size of 1232 bytes; an answer that was
// cut short is asked for again by TCP, and a server that does not know EDNS0
// again without. Each question is put to every server in turn, Attempts times
// (2, or what resolv.conf says), until one answers; servers that did not answer
// come last in what remains of the call, and the time that a call has left is
// shared out, so that a dead server does not keep the next from being asked.
// An answer counts only if its ID and its question are those that were sent;
// other datagrams are ignored. Aliases (CNAME) are followed, at most 8 in a
// row. Priority and weight of SRV records mean nothing here: all are peers.
//
// The system's servers are those of /etc/resolv.conf, which is read anew for
// each call, with its search, ndots, attempts and timeout; without a server
// there the loopback addresses are asked, as elsewhere. A configured server is
// asked for the name as it stands: the search domains belong to the system's.
//
// # What an answer means
//
// That a name does not exist (NXDOMAIN), or has no such record, is an answer:
// nobody yet. So is an SRV target that does not exist, and the SRV target "."
// (RFC 2782: decidedly not available). Everything else is an error that names
// the server and what it said: SERVFAIL, REFUSED, silence, what cannot be
// parsed, a referral, records with port 0 or an address that nobody can have.
// What was found besides is returned together with the error. Where a search
// domain fails, and not for silence, the next is asked all the same, and its
// addresses come with the error: nobody knows what the first would have said.
//
// # Caching and limits
//
// An answer is kept for its smallest TTL, but at most 30 s, so that a new node
// is never hidden for longer, and in the provider's first 30 s at most 1 s: a
// cluster that starts must not decide by three copies of one answer. That
// nobody is there is kept for what RFC 2308 says, at most 1 s. With a TTL of 0,
// or no SOA record beside a negative answer, nothing is kept, and a failure
// never is. At most 10,000 addresses are returned, with an error where there
// are more, and at most 16 targets are looked up at a time. DNS itself fits
// some 4,000 A records in a message; SRV targets may bring more.
//
// A Provider may be used by many goroutines.
package dns

// Package dnstest runs a small DNS server on loopback, in the test's process,
// for tests of whatever finds peers by DNS:
//
//	s := dnstest.Start(t)
//	s.SetA("gokv.test", "127.0.0.1", "127.0.0.2")
//	s.SetSRV("_gokv._tcp.gokv.test", "n1.gokv.test:7946")
//	provider, err := dns.New(dns.Config{DomainName: "gokv.test", Port: 7946, Server: s.Addr()})
//
// It is authoritative for every name: those that have no record do not exist.
// It answers by UDP and TCP, cuts datagrams short where they do not fit, adds
// the addresses of SRV targets, and knows A, AAAA, CNAME and SRV. It can fail,
// stop, come back at the same address, and be told to answer as the test
// pleases. It is no server for anything but tests: no zones, no recursion.
//
// A Server may be used by many goroutines. It ends with the test.
package dnstest

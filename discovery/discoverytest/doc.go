// Package discoverytest holds the suite that every [discovery.Provider] of gokv
// passes, and that a provider of your own should. [Run] drives a provider as a
// node does, through a [Harness] that says how one is made, how peers come and
// go, and how the service behind it is broken and mended:
//
//	func TestTheProviderPassesTheSuite(t *testing.T) {
//		discoverytest.Run(t, discoverytest.Harness{
//			New:     func(t *testing.T, self discovery.Self) discovery.Provider { … },
//			Publish: func(t *testing.T, addrs ...string) { … },
//		})
//	}
//
// Each property is a subtest whose name says what is wanted: that nobody is no
// error and a failure always one, that no address is invented, that calls end
// with their contexts, that Close ends every goroutine. It is no test of a
// provider's settings, its protocol or its speed: those belong beside its code.
//
// The suite looks for goroutines that a provider left behind, so neither the
// test that calls Run nor one beside it may be parallel. It starts no service,
// opens no socket, and keeps nothing after Run has returned.
package discoverytest

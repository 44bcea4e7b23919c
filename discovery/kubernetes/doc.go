// Package kubernetes is the discovery provider that finds peers as pods: those of
// one namespace that have all of Config.PodLabels. A peer's address is the pod's
// own and the number of the container port that Config.DiscoveryPortName names.
//
// It makes nobody ready and asks nobody whether he is: a pod is a peer from the
// moment that it has an address, whatever its probes say, since nodes become ready
// by finding each other. It registers nothing: the pods are there. It does not read
// Services, Endpoints or nodes.
//
// # Two ways to the API server
//
//	DiscoverPeers ─► LIST pods, 500 a page ─► addresses, or an error
//	Initialize ────► informer: WATCH pods ──► Changes, when an address came or went
//
// Each answer is a list of its own, as consistent as the API server has it, and
// never what a watch has collected: while the server is away, refuses or hangs,
// nobody knows who is there, and the answer is an error. The watch says only that it
// is worth asking again. When it breaks it is taken up again by itself, after a
// pause that grows from 0.8 to 30 s.
//
// Both need a right, list and watch on pods in that namespace, and no other. An
// error names the verb and the resource that are not allowed. Without the right to
// watch the peers are found all the same, with that error beside them.
//
// # Which address
//
// Of a pod with addresses of both families the one is taken that is of the family of
// Announce's address, and the pod's first where that is a name. The port is looked
// for in the containers and in the init containers that go on beside them; where a
// name stands for several, the UDP one is taken.
//
// Left out without a word are pods that have ended, that have no address yet, and
// that are being deleted and whose grace period is over: one that still has some is
// a peer, and may be the last that holds the data. A pod without a port of the names
// that are configured is an error beside the addresses of the others: if it were
// passed over, a name that is misspelt would look like nobody.
//
// For the same reason a node in a pod wants to find itself: where it announces an IP
// address that no pod found has, nor its machine, the answer comes with an error
// that says so. The kubelet has 2 s to publish it first.
//
// At most 10,000 addresses are returned, with an error where there are more.
//
// # Reaching the API server
//
// In a pod the service account's token, namespace and authority are used, as they
// are mounted; the token is read again as it changes. Elsewhere a kubeconfig says
// where and as whom, with all that client-go knows of such files. If neither can be
// read Initialize fails with discovery.ErrPermanent. client-go's own log is silent.
// A credential plugin is never given the terminal, and one that hangs is left behind:
// calls end with their context, and Close does not wait for it.
//
// A Provider may be used by many goroutines.
package kubernetes

// Package kubetest runs a real Kubernetes API server for a test: kube-apiserver over
// etcd, as processes on loopback, with authentication and RBAC enforced.
//
//	s := kubetest.Start(t)
//	pod := s.ServiceAccount(t, "store", "gokv") // may do nothing yet
//	...
//	s.Stop(t)    // connections are refused
//	s.Restart(t) // the same address, the same data
//
// [Server] is all there is. Its Admin may do everything; what [Server.ServiceAccount]
// returns may do what a test's Roles allow, and nothing before there are any. A Role
// is in force a moment after its creation was answered, as in any cluster: poll.
//
// The program is tools/kube-apiserver, which links both servers. The environment
// variable GOKV_TEST_KUBE_APISERVER holds its path, and make e2e-kubernetes builds it.
// Where the variable is not set a test is left out, loudly, and on CI (CI is set) fails.
// With -short it is skipped.
//
// It is no cluster: there is no controller, no scheduler and no kubelet. A StatefulSet
// makes no pods, nobody runs or fills in the status of those that a test creates, and a
// namespace that is deleted stays. For the same reason admission does not ask that a
// pod's service account exists, and nothing listens at the address of a Service. All
// other plugins that kube-apiserver enables on its own are enabled.
//
// A Server is not safe for concurrent use, but for its Admin, which is to be copied
// before it is changed. The processes end with the test, and on Linux with the test's
// process, however that ends. Data lives in the test's temporary directory. Each test
// makes its own certificate authority, so that nothing but its own server is trusted.
//
// Limits: loopback over IPv4. Freeze and Thaw need Linux, and elsewhere another
// process can take the port before the server has it.
package kubetest

// Command kube-apiserver is the API server of Kubernetes and, as a subcommand, the etcd
// that it needs, for tests on a machine where neither is installed. It is a module of
// its own: what it links, all of Kubernetes, is no requirement of whoever imports gokv.
//
//	kube-apiserver FLAGS                                kube-apiserver itself, unchanged
//	kube-apiserver etcd [--dir DIR] [--socket FILE]     one etcd that listens on a Unix socket
//
// kube-apiserver reaches that etcd with --etcd-servers=unix://FILE. The socket is the
// only way in: who may use it is a matter of its directory's permissions.
//
// It is no way to run a cluster: that etcd does not wait until its data is on disk, and
// authenticates nobody. Package internal/kubetest of the main module starts both.
//
// go.mod takes each k8s.io module, of which k8s.io/kubernetes asks for v0.0.0, at the
// version that was released with it, and what the main module requires too at the main
// module's version: packages that both link are compiled once. It stays in step by
// hand; go mod tidy would fetch what Kubernetes's own tests need.
package main

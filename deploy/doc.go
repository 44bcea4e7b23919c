// Package deploy holds what gokv is run with elsewhere, as files, and the tests of
// those files: the manifests of deploy/kubernetes, as Kustomize and as a Helm chart,
// are rendered by the program in tools/deploy, decoded strictly, held against what
// they must be whatever the values, compared with each other, and applied to a real
// API server. The rules and dashboards beside them are tested in package e2e, which
// runs the cluster that they look at.
//
// It is not for use by a program: it exports nothing, and nothing imports it.
//
// The tests need what tools/deploy is built from, out of the module cache or from a
// proxy, and some an API server; what lacks either is left out, and on CI fails. They start processes, each with
// an end within its test, and write to temporary directories alone.
package deploy

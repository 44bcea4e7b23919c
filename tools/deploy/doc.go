// Command deploy renders and lints the manifests of deploy/kubernetes with the
// libraries that kustomize and helm are made of, so that neither has to be
// installed. It is a module of its own: what it links is no requirement of
// whoever imports gokv.
//
//	deploy kustomize DIR                   the manifests of a kustomization
//	deploy lint CHART                      every complaint about a chart; exit 1 if there is one
//	deploy template CHART                  the manifests of a chart
//	deploy notes CHART                     what helm prints after an installation
//
// The last three take --values FILE as often as needed, --name and --namespace of
// the release. With --kubeconfig FILE a chart's lookups are answered by that API
// server, as in an installation; without, they find nothing, as in helm template.
//
// It is no replacement for either tool: no hooks, no subcharts, no plugins, nothing
// is applied. It runs in one goroutine and reads what is on disk.
package main

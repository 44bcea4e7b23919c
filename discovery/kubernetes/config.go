package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Config is what a Provider is made from.
type Config struct {
	// Namespace is where the pods are: at most 63 lower-case letters, digits and
	// dashes. Default: the namespace of the pod that this runs in or, with
	// Kubeconfig, that of the file's current context, and "default" if it names
	// none. A namespace that does not exist has no pods, which is no error to
	// who may list pods everywhere.
	Namespace string

	// PodLabels are what a pod has to have, all of them, to be a peer. Needed:
	// without, every pod of the namespace would be one.
	PodLabels map[string]string

	// DiscoveryPortName is the name of the peers' container port: at most 15
	// lower-case letters, digits and dashes. Needed.
	DiscoveryPortName string

	// PortName is the name of the container port for clients. It is not dialled.
	// If it is given, a pod without it is an error, as one without the peers'
	// port is: whoever has these labels and lacks that port is no gokv node.
	// Default: none, and nothing is asked of the pods.
	PortName string

	// Kubeconfig is the file that says how to reach the API server from outside
	// of the cluster. Default: what is mounted into each pod.
	Kubeconfig string
}

// Validate reports every field that is wrong, a line each, named as gokv-node's
// setting is. It reads no file and asks nobody.
func (c Config) Validate() error {
	var errs []error
	wrong := func(setting, value string, whys ...string) {
		if len(whys) > 0 {
			errs = append(errs, fmt.Errorf("%s: %q: %s", setting, value, strings.Join(whys, "; ")))
		}
	}
	if c.Namespace != "" {
		wrong("kubernetes-namespace", c.Namespace, validation.IsDNS1123Label(c.Namespace)...)
	}
	if len(c.PodLabels) == 0 {
		errs = append(errs, errors.New("kubernetes-pod-labels: empty: the labels of the peers' pods, such as app=gokv, are needed"))
	}
	for _, key := range slices.Sorted(maps.Keys(c.PodLabels)) {
		wrong("kubernetes-pod-labels", key, validation.IsQualifiedName(key)...)
		wrong("kubernetes-pod-labels", key+"="+c.PodLabels[key], validation.IsValidLabelValue(c.PodLabels[key])...)
	}
	if c.DiscoveryPortName == "" {
		errs = append(errs, errors.New("kubernetes-discovery-port-name: empty: the name of the peers' container port is needed"))
	} else {
		wrong("kubernetes-discovery-port-name", c.DiscoveryPortName, validation.IsValidPortName(c.DiscoveryPortName)...)
	}
	if c.PortName != "" {
		wrong("kubernetes-port-name", c.PortName, validation.IsValidPortName(c.PortName)...)
	}
	return errors.Join(errs...)
}

// selector is PodLabels as the API wants them.
func (c Config) selector() string { return labels.Set(c.PodLabels).AsSelector().String() }

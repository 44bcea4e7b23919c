package main

import (
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "etcd" {
		fmt.Fprintln(os.Stderr, "etcd:", runEtcd(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}

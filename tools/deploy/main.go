package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("which of kustomize, lint, template and notes?")
	}
	command := args[0]
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	var r release
	flags.Func("values", "`file` with values; later ones win", func(file string) error {
		r.files = append(r.files, file)
		return nil
	})
	flags.StringVar(&r.name, "name", "gokv", "`name` of the release")
	flags.StringVar(&r.namespace, "namespace", "default", "`namespace` of the release")
	flags.StringVar(&r.kubeconfig, "kubeconfig", "", "`file`: the API server that answers lookups")
	flags.BoolVar(&r.upgrade, "upgrade", false, "render an upgrade in place of an installation")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("%s: %d directories given: exactly one", command, flags.NArg())
	}
	dir := flags.Arg(0)
	switch command {
	case "kustomize":
		return kustomize(dir, out)
	case "lint":
		return r.lint(dir)
	case "template", "notes":
		return r.render(dir, command == "notes", out)
	default:
		return fmt.Errorf("%q: one of kustomize, lint, template and notes", command)
	}
}

func kustomize(dir string, out io.Writer) error {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return err
	}
	text, err := resources.AsYaml()
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// release is what a chart is rendered for.
type release struct {
	name, namespace string
	files           []string
	kubeconfig      string
	upgrade         bool
}

// values merges the files, which the chart's own values stand behind.
func (r release) values() (map[string]any, error) {
	merged := map[string]any{}
	for _, name := range r.files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		values, err := common.ReadValues(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		merged = loader.MergeMaps(merged, values)
	}
	return merged, nil
}

// lint is strict: a warning counts as an error does.
func (r release) lint(dir string) error {
	values, err := r.values()
	if err != nil {
		return err
	}
	var complaints []error
	for _, m := range lint.RunAll(dir, values, r.namespace).Messages {
		if m.Severity >= support.WarningSev {
			complaints = append(complaints, m)
		}
	}
	return errors.Join(complaints...)
}

func (r release) render(dir string, notes bool, out io.Writer) error {
	chart, err := loader.LoadDir(dir)
	if err != nil {
		return err
	}
	values, err := r.values()
	if err != nil {
		return err
	}
	options := common.ReleaseOptions{Name: r.name, Namespace: r.namespace, Revision: 1, IsInstall: !r.upgrade, IsUpgrade: r.upgrade}
	all, err := util.ToRenderValues(chart, values, options, nil)
	if err != nil {
		return err
	}
	e := engine.Engine{}
	if r.kubeconfig != "" {
		config, err := clientcmd.BuildConfigFromFlags("", r.kubeconfig)
		if err != nil {
			return err
		}
		e = engine.New(config)
	}
	e.Strict = true
	rendered, err := e.RenderWithContext(context.Background(), chart, all)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		text := strings.TrimSpace(rendered[name])
		if (path.Base(name) == "NOTES.txt") != notes || strings.HasPrefix(path.Base(name), "_") || text == "" {
			continue
		}
		if !notes {
			text = "---\n# " + filepath.ToSlash(name) + "\n" + strings.TrimPrefix(text, "---\n")
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	return nil
}

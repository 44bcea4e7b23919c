package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/internal/auth"
)

func (a *app) secretCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "secret",
		Short: "make a cluster secret",
	}
	group(c)
	c.AddCommand(&cobra.Command{
		Use:   "new",
		Short: "print a fresh secret",
		Long: `Prints 32 random bytes in base64: a line of the file that --secret-file names, on
every node and at every client. The first line signs, all verify: to replace a
secret, add the new one below on all, then move it to the top, then remove the
old one.`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, auth.NewSecret())
			return err
		},
	})
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version of this command",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			if a.format == formatJSON {
				return a.printJSON(struct {
					Version   string `json:"version"`
					GoVersion string `json:"go_version"`
				}{gokv.Version(), runtime.Version()})
			}
			_, err := fmt.Fprintln(a.stdout, "gokv", gokv.Version())
			return err
		},
	}
}

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print a script that completes commands and keys in a shell",
		Long: `Prints the completion script of SHELL: bash, zsh, fish or powershell. For bash:

  source <(gokv completion bash)

Keys are completed by asking the node at GOKV_ADDR.`,
		Args:      takes("SHELL"),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
			return misuse("completion: unknown shell %q: %s", args[0], strings.Join(slices.Sorted(slices.Values(shells)), ", "))
		},
	}
}

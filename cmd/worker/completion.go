package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"activation-worker/internal/config"
)

// completionScripts write the script of each shell.
var completionScripts = map[string]func(*cobra.Command, io.Writer) error{
	"bash": func(root *cobra.Command, w io.Writer) error {
		if _, err := io.WriteString(w, bashWords); err != nil {
			return err
		}
		return root.GenBashCompletionV2(w, true)
	},
	"zsh":        (*cobra.Command).GenZshCompletion,
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": (*cobra.Command).GenPowerShellCompletionWithDesc,
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

// bashWords takes the place of the one function of the package bash-completion that the script needs, where that is not installed.
const bashWords = `if ! declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
    _get_comp_words_by_ref() {
        local typed=${COMP_LINE:0:COMP_POINT}
        read -ra words <<<"$typed"
        [[ $typed == *[[:space:]] ]] && words+=("")
        cword=$((${#words[@]} - 1))
        cur=${words[cword]}
        prev=${words[cword - 1]}
    }
fi
`

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion <shell>",
		Short: "Shell completions for bash, zsh, fish or powershell",
		Long: `Prints a script that completes commands, flags and their values. It is for the shell to read, now or whenever one starts.
Customers' ids are not completed: for that, each press of the key would ask NATS.`,
		Example: `  source <(worker completion bash)                                             for this shell
  worker completion bash >/etc/bash_completion.d/worker                        for every one, with the package bash-completion
  worker completion zsh >"${fpath[1]}/_worker"                                 with compinit in ~/.zshrc
  worker completion fish >~/.config/fish/completions/worker.fish
  worker completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return fmt.Errorf("name one shell, of %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return completionScripts[args[0]](cmd.Root(), cmd.OutOrStdout())
		},
	}
}

// flagValues are those of the flags that are no settings, by name; what a setting can be, [config.Values] knows.
func flagValues() map[string][]string {
	return map[string][]string{
		"output": {"table", "json"}, "state": stateNames(), "reason": reasonNames(),
		"intake-from": {"all", "new"}, "replicas": {"1", "3", "5"},
	}
}

// complete tells the shells, for a command and those below it, which values flags can have and where a file name is wanted:
// nowhere else are files offered.
func complete(cmd *cobra.Command) {
	if len(cmd.ValidArgs) == 0 && cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	values := flagValues()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		kind, _ := pflag.UnquoteUsage(f)
		switch known := append(config.Values(f), values[f.Name]...); {
		case len(known) > 0:
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)) // it is there, and has none yet
		case strings.EqualFold(kind, "file") || strings.HasSuffix(f.Name, "file"): // as a shell does by itself
		case strings.HasSuffix(f.Name, "dir"):
			_ = cmd.MarkFlagDirname(f.Name) // it is there
		default:
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions) // as above
		}
	})
	for _, child := range cmd.Commands() {
		complete(child)
	}
}

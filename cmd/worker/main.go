// Command worker activates LINE WORKS customers: it takes terms-accepted events from NATS
// JetStream, calls the partner API, and publishes customer-activated events.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
)

// Exit status of the command.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDrift       = 3 // checked and found wanting
	exitInterrupted = 130
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	// Go's HTTP client writes what a partner sent unasked to the standard log, word for word; nothing of ours uses it.
	defer zap.RedirectStdLog(zap.NewNop())()
	ctx, stop := interruptible(context.Background())
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if err != nil && !errors.As(err, new(silent)) && code != exitInterrupted {
		fmt.Fprintln(stderr, "worker:", err)
	}
	return code
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// interruptible is a context that ends with the first SIGINT or SIGTERM; a second one ends the process at once.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			cancel(errInterrupted)
		case <-ctx.Done():
			return
		}
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// usageError is wrong usage or configuration.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// silent is a result that has been printed already.
type silent struct{ code int }

func (s silent) Error() string { return fmt.Sprintf("exit status %d", s.code) }

func exitCode(ctx context.Context, err error) int {
	var s silent
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &s):
		return s.code
	case errors.As(err, new(usageError)), errors.As(err, new(config.Faults)), errors.As(err, new(*broker.IntakeFromError)):
		return exitUsage
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitInterrupted
	}
	return exitFailed
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "worker",
		Short: "Activates LINE WORKS customers who have accepted the terms",
		Long: `worker takes "terms accepted" events from NATS JetStream, activates each customer through the
LINE WORKS partner API, and publishes a "customer activated" event with the partner's answer.
Every customer's state is an event too, so that nothing is lost and nobody is activated twice.`,
		Example: `  worker demo                     see it work, with nothing else installed
  worker run                      the service; LINEWORKS_… settings as in the README
  worker submit 51200931          announce that a customer has accepted the terms
  worker status 51200931          why is this customer (not) active
  worker list --state failed      who needs somebody's help
  worker doctor                   is everything there that a worker needs`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(runCommand(), demoCommand(), setupCommand(), submitCommand(), statusCommand(), listCommand(), watchCommand(), replayCommand(), cancelCommand(), forgetCommand(), doctorCommand(), simulateCommand(), versionCommand(), completionCommand())
	complete(root)
	asUsage(root)
	return root
}

// asUsage makes wrong arguments a usage error for every command.
func asUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, child := range cmd.Commands() {
		asUsage(child)
	}
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/partnerapi/simulator"
)

// simulation holds the flags of worker simulate.
type simulation struct {
	listen, dns           string
	dir, fromFile, faults string
	tls, auto, verbose    bool
	customers             int
	faultRate             float64
	seed                  uint64
	latency               time.Duration
	rate, concurrency     int
	unknown               []string
}

// simulateCommand is worker simulate: the partner's stand-in on its own, for trying a worker out without the partner.
func simulateCommand() *cobra.Command {
	var f simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a stand-in for the LINE WORKS partner API",
		Long: `Runs a stand-in for the LINE WORKS partner API and its token endpoint, with credentials of its own.

On stdout it prints the settings that make a worker use it; the same stand in simulator.env in its directory. With
--dir, the credentials stay the same from run to run.

Callers on the same machine can look into it and steer it:
  GET  /simulator/journal     what came and what became of it
  POST /simulator/customers   {"domainId":7,"terms":true,"dnsAfter":"30s","dnsRecords":"txt"}
  POST /simulator/state       {"domainId":7,"terms":true,"dns":true,"active":false}; what is left out stays as it is
  POST /simulator/script      {"domainId":7,"operation":"activate","faults":["lost","slow=2s"]}

With --dns it also answers for the customers' domains as the public DNS would: when a customer's DNS is done, with the
records that dnsRecords says, "txt", "cname", both without it, "wrong" (an old token, a foreign target) or "none".

A fault is [OPERATION@]PART[+PART...][*TIMES], TIMES empty for ever. The parts:
` + simulator.FaultHelp(),
		Example: `  worker simulate
  worker simulate --customers 100 --fault-rate 0.2
  worker simulate --fault-rate 0.5 --faults 'activate@lost,500-applied,lag=5s' --seed 7
  worker simulate --dns 127.0.0.1:8053
  worker simulate --unknown dns-missing=409:empty --unknown already-active=400:ALREADY_ACTIVE`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8090", "address to listen on")
	flags.StringVar(&f.dns, "dns", "", "address of a DNS server for the customers' domains (default none)")
	flags.BoolVar(&f.tls, "tls", false, "serve https, with a certificate authority made for it")
	flags.StringVar(&f.dir, "dir", "", "directory for the private key and the like (default a temporary one, removed at the end)")
	flags.IntVar(&f.customers, "customers", 0, "customers to begin with, from domain id 51200001 on, some of them not ready at once")
	flags.StringVar(&f.fromFile, "from-file", "", "JSON file of customers to begin with")
	flags.BoolVar(&f.auto, "auto", true, "an unknown domain id becomes a customer that is ready to be activated")
	flags.Float64Var(&f.faultRate, "fault-rate", 0, "part of the requests that meet a fault, from 0 to 1")
	flags.StringVar(&f.faults, "faults", "", "the faults, with commas between (default a bit of everything)")
	flags.Uint64Var(&f.seed, "seed", 1, "the same seed gives the same faults again")
	flags.DurationVar(&f.latency, "latency", 20*time.Millisecond, "time that each API answer takes")
	flags.IntVar(&f.rate, "rate", simulator.DefaultRatePerMinute, "requests a minute for each operation; 0: no limit")
	flags.IntVar(&f.concurrency, "concurrency", simulator.DefaultMaxConcurrent, "requests at once; 0: no limit")
	flags.StringArrayVar(&f.unknown, "unknown", nil, "an answer that the partner does not document, as NAME=STATUS[:CODE|:FORM]; "+
		"names: terms-pending, dns-missing, already-active, missing-scope, upgrade-active")
	flags.BoolVar(&f.verbose, "verbose", false, "log every request")
	return cmd
}

// run serves until ctx ends, which is no error.
func (f *simulation) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	level := zap.InfoLevel
	if f.verbose {
		level = zap.DebugLevel
	}
	settings := zap.NewProductionEncoderConfig()
	settings.EncodeTime = zapcore.ISO8601TimeEncoder
	log := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(settings), zapcore.Lock(zapcore.AddSync(stderr)), level)).Named("simulator")
	options, err := f.options()
	if err != nil {
		return usageError{fmt.Errorf("simulate: %w", err)}
	}
	dir, remove, err := makeDir(f.dir)
	if err != nil {
		return fmt.Errorf("simulate: make a directory for the private key: %w", err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	kept, err := keepCredentials(dir, &options)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	options.Log = log
	partner, err := simulator.New(options)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	defer partner.Close()
	if err := f.populate(partner); err != nil {
		return usageError{fmt.Errorf("simulate: %w", err)}
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("simulate: listen on %s, change it with --listen: %w", f.listen, err)
	}
	// Of an earlier run: whoever waits for the file waits for us.
	if err := os.Remove(filepath.Join(dir, environmentFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("simulate: %w", err), listener.Close())
	}
	base := "http://" + listener.Addr().String()
	if f.tls {
		authority, certificate, err := simulator.SelfSigned(time.Now(), certificateHosts(f.listen, listener.Addr().String())...)
		if err != nil {
			return errors.Join(fmt.Errorf("simulate: %w", err), listener.Close())
		}
		kept.authority = filepath.Join(dir, "ca.pem")
		if err := os.WriteFile(kept.authority, authority, 0o600); err != nil {
			return errors.Join(fmt.Errorf("simulate: keep the certificate authority: %w", err), listener.Close())
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		base = "https://" + strings.TrimPrefix(base, "http://")
	}
	var names *simulator.DNSServer
	if f.dns != "" {
		if names, err = partner.ListenDNS(ctx, f.dns); err != nil {
			return errors.Join(fmt.Errorf("simulate: %w; change it with --dns", err), listener.Close())
		}
		kept.resolver = names.Addr()
	}
	if err := printEnvironment(stdout, dir, base, partner.Credentials(), kept); err != nil {
		err = errors.Join(fmt.Errorf("simulate: %w", err), listener.Close())
		if names != nil {
			err = errors.Join(err, names.Close())
		}
		return err
	}
	log.Info("partner simulator listening", zap.String("address", base), zap.String("dns", kept.resolver),
		zap.Float64("fault_rate", f.faultRate), zap.Uint64("seed", f.seed))
	serving, running := errgroup.WithContext(ctx)
	serving.Go(func() error { return serveUntil(running, listener, partner, log) })
	if names != nil {
		serving.Go(func() error { return names.Serve(running) })
	}
	return serving.Wait()
}

// makeDir makes the directory that is named, or a temporary one that remove takes away.
func makeDir(named string) (dir string, remove func() error, err error) {
	if named == "" {
		dir, err = os.MkdirTemp("", "partner-simulator-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	if dir, err = filepath.Abs(named); err == nil { // what is printed is used from other directories
		err = os.MkdirAll(dir, 0o700)
	}
	return dir, func() error { return nil }, err
}

// options turns the flags into those of the simulator.
func (f *simulation) options() (simulator.Options, error) {
	o := simulator.Options{
		Seed: f.seed, RatePerMinute: f.rate, MaxConcurrent: f.concurrency, Latency: f.latency, Auto: f.auto, Admin: true, JournalLimit: 100_000,
	}
	var faults []error
	for _, text := range f.unknown {
		if err := o.Unknown.Set(text); err != nil {
			faults = append(faults, fmt.Errorf("--unknown: %w", err))
		}
	}
	for name, wrong := range map[string]bool{
		"--rate: want 0 or more": f.rate < 0, "--concurrency: want 0 or more": f.concurrency < 0, "--customers: want 0 or more": f.customers < 0,
		"--latency: want 0 or more": f.latency < 0, "--fault-rate: want a number from 0 to 1": !(f.faultRate >= 0 && f.faultRate <= 1),
		"--faults: say with --fault-rate how often they are to happen": f.faults != "" && f.faultRate == 0,
	} {
		if wrong {
			faults = append(faults, errors.New(name))
		}
	}
	if _, err := simulator.ParseFaults(f.faults); err != nil {
		faults = append(faults, fmt.Errorf("--faults: %w", err))
	}
	return o, errors.Join(faults...)
}

// populate adds the customers to begin with, and the faults.
func (f *simulation) populate(partner *simulator.Simulator) error {
	all := simulator.Crowd(f.customers, 51200001, f.seed)
	if f.fromFile != "" {
		file, err := os.Open(f.fromFile)
		if err != nil {
			return fmt.Errorf("--from-file: %w", err)
		}
		listed, err := simulator.DecodeCustomers(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("--from-file %s: %w", f.fromFile, err)
		}
		all = append(all, listed...)
	}
	for _, c := range all {
		partner.Add(c)
	}
	faults, err := simulator.ParseFaults(f.faults)
	if err != nil {
		return fmt.Errorf("--faults: %w", err)
	}
	if len(faults) == 0 {
		faults = simulator.WickedMix()
	}
	partner.SetMix(f.faultRate, faults...)
	return nil
}

// serveUntil serves the handler until ctx ends. It speaks HTTP/1.1 alone, since no other protocol is offered in the TLS handshake: the
// faults of the connection need a connection of their own.
func serveUntil(ctx context.Context, listener net.Listener, partner *simulator.Simulator, log *zap.Logger) error {
	server := &http.Server{Handler: partner, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var failed error
	select {
	case failed = <-served:
		return fmt.Errorf("simulate: serve: %w", failed)
	case <-ctx.Done():
	}
	partner.Close()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		failed = errors.Join(fmt.Errorf("simulate: stop: %w", err), server.Close())
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		failed = errors.Join(failed, fmt.Errorf("simulate: serve: %w", err))
	}
	log.Info("partner simulator stopped")
	return failed
}

// certificateHosts are the names by which a listener can be reached from the same machine, and the one it was asked for: from other
// machines, as between containers, it is reached by a name.
func certificateHosts(asked, address string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, one := range []string{asked, address} {
		host, _, err := net.SplitHostPort(one)
		if addr, bad := netip.ParseAddr(host); err != nil || host == "" || bad == nil && addr.IsUnspecified() || slices.Contains(hosts, host) {
			continue
		}
		hosts = append(hosts, host)
	}
	return hosts
}

package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/config"
	"activation-worker/internal/partnerapi/simulator"
)

// demoCallsKept are more calls than a demo makes that ends by itself.
const demoCallsKept = 20_000

// consoleSettings are the only settings that the environment may make.
func (d *demo) consoleSettings() (set []string) {
	for _, setting := range d.environ {
		if strings.HasPrefix(setting, "WORKER_CONSOLE_ADDR=") || strings.HasPrefix(setting, "WORKER_CONSOLE_HOSTS=") {
			set = append(set, setting)
		}
	}
	return set
}

// serveDemoConsole serves the page where the environment says, else at the usual place, or near it.
func serveDemoConsole(ctx context.Context, p *parts, c *config.Config, log *zap.Logger) (url string, closed func(), err error) {
	url, closed, err = p.serveConsole(ctx, c, c.Worker.ConsoleAddr, log)
	if !c.SaysConsoleAddr() && errors.Is(err, syscall.EADDRINUSE) {
		return p.serveConsole(ctx, c, "127.0.0.1:0", log)
	}
	return url, closed, err
}

// startPartner serves the stand-in on a free loopback port until it is closed.
func startPartner(ctx context.Context, log *zap.Logger) (partner *simulator.Simulator, base string, closeIt func(), err error) {
	partner, err = simulator.New(simulator.Options{
		RatePerMinute: simulator.DefaultRatePerMinute, MaxConcurrent: simulator.DefaultMaxConcurrent, Latency: 150 * time.Millisecond,
		JournalLimit: demoCallsKept,
	})
	if err != nil {
		return nil, "", nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	// It outlives the interruption of the demo: calls on their way are answered.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var served sync.WaitGroup
	served.Go(func() {
		if err := serveUntil(serving, listener, partner, log.Named("partner")); err != nil {
			log.Error("partner's stand-in", zap.Error(err))
		}
	})
	return partner, "http://" + listener.Addr().String(), func() {
		stop()
		served.Wait()
	}, nil
}

// startDNS serves the customers' ownership records on a free loopback port until it is closed.
func startDNS(ctx context.Context, partner *simulator.Simulator, log *zap.Logger) (address string, closeIt func(), err error) {
	names, err := partner.ListenDNS(ctx, "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	serving, stop := context.WithCancel(ctx)
	var served sync.WaitGroup
	served.Go(func() {
		if err := names.Serve(serving); err != nil {
			log.Error("stand-in for DNS", zap.Error(err))
		}
	})
	return names.Addr(), func() {
		stop()
		served.Wait()
	}, nil
}

// demoSettings are all the settings there are: the environment is not asked.
func demoSettings(base, dns string, creds simulator.Credentials) []string {
	api, token := simulator.URLs(base)
	return []string{
		"LINEWORKS_API_URL=" + api,
		"LINEWORKS_TOKEN_URL=" + token,
		"LINEWORKS_CLIENT_ID=" + creds.ClientID,
		"LINEWORKS_CLIENT_SECRET=" + creds.ClientSecret,
		"LINEWORKS_SERVICE_ACCOUNT=" + creds.ServiceAccount,
		"LINEWORKS_PRIVATE_KEY=" + creds.PrivateKeyPEM,
		"LINEWORKS_TIMEOUT=5s",
		"LINEWORKS_SUSTAINED_RATE=0",
		"WORKER_ID=demo",
		"WORKER_HTTP_ADDR=127.0.0.1:0", // nobody listens there
		"WORKER_LEASE=15s",
		"WORKER_STREAM_MAX_BYTES=1GiB",
		// Nobody wants to watch for as long as one would wait in earnest.
		"WORKER_BACKOFF=transient=1s/2s,unknown_outcome=1s/3s/5s,partner_unavailable=1s/2s,terms_pending=3s/4s",
		"WORKER_DNS_SCHEDULE=watch=1s/2s,call=1m,visible=2s/4s",
		"WORKER_DNS_RESOLVERS=" + dns,
	}
}

// logTail keeps the last of what is written to it.
type logTail struct {
	mu   sync.Mutex
	tail []byte
}

// logKept is how many bytes are kept, at least.
const logKept = 8 << 10

func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail = append(l.tail, p...); len(l.tail) > 2*logKept {
		l.tail = append([]byte(nil), l.tail[len(l.tail)-logKept:]...)
	}
	return len(p), nil
}

func (l *logTail) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}

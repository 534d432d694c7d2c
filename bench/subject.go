package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// subject is something that takes events from the intake, calls the partner, and stores what came of it.
type subject struct {
	name     string
	records  int    // stored for each event
	consumer string // on the intake
	start    func(context.Context, *site, int) (*proc, error)
}

var subjectsByName = map[string]subject{
	"bare":      {name: "bare", records: 1, consumer: activator, start: startRole("bare")},
	"worker":    {name: "worker", records: 2, consumer: activator, start: startWorker},
	"watermill": {name: "watermill", records: 1, consumer: pushed, start: startRole("watermill")},
}

// startSelf starts this program again, in one of its roles.
func startSelf(role string, args ...string) (*proc, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(role, nil, self, append([]string{role}, args...)...)
}

func startRole(role string) func(context.Context, *site, int) (*proc, error) {
	return func(ctx context.Context, s *site, inFlight int) (*proc, error) {
		p, err := startSelf(role, "-nats", s.servers.url, "-partner", s.partnerURL, "-in-flight", strconv.Itoa(inFlight))
		if err != nil {
			return nil, err
		}
		_, err = p.says(ctx, "ready")
		return p, err
	}
}

// workerEnv are the worker's settings: no limit of the pace, which is the partner's, and a log that says little.
func (s *site) workerEnv(inFlight int) []string {
	return []string{
		"NATS_URL=" + s.servers.url,
		"LINEWORKS_API_URL=" + s.partnerURL, "LINEWORKS_TOKEN_URL=" + s.partnerURL + "/token", "LINEWORKS_ACCESS_TOKEN=bench",
		"LINEWORKS_CONCURRENCY=" + strconv.Itoa(inFlight), "LINEWORKS_RATE=0", "LINEWORKS_SUSTAINED_RATE=0",
		"WORKER_INTAKE_FROM=all", "WORKER_DNS_RESOLVERS=off", "WORKER_LOG_LEVEL=warn",
	}
}

func startWorker(ctx context.Context, s *site, inFlight int) (*proc, error) {
	addresses, err := freeAddresses(ctx, 1)
	if err != nil {
		return nil, err
	}
	p, err := start("worker", append(s.workerEnv(inFlight), "WORKER_HTTP_ADDR="+addresses[0], "WORKER_CONSOLE_ADDR=off"), s.o.worker, "run")
	if err != nil {
		return nil, err
	}
	return p, eventually(ctx, 30*time.Second, 20*time.Millisecond, func(ctx context.Context) error {
		if p.over() {
			return p.early()
		}
		return ready(ctx, "http://"+addresses[0]+"/readyz")
	})
}

func ready(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the worker is not ready: " + resp.Status)
	}
	return nil
}

// setUp has the worker make the streams, for every subject alike.
func (s *site) setUp(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.o.worker, "setup", "--with-intake")
	cmd.Env = s.workerEnv(1)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("worker setup: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

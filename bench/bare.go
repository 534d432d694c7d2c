package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// roleFlags are what a role of this program is told.
type roleFlags struct {
	nats, partner string
	inFlight      int
}

func parseRole(name string, args []string) (roleFlags, error) {
	var r roleFlags
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.StringVar(&r.nats, "nats", "", "address")
	f.StringVar(&r.partner, "partner", "", "base URL")
	f.IntVar(&r.inFlight, "in-flight", 64, "events in hand at the same time")
	return r, f.Parse(args)
}

// runBare is what is left of a worker without a ledger: consume, call, publish, acknowledge. A crash between two of these calls
// again, and nobody asks the partner first; what it stores is the partner's answer as it came.
func runBare(ctx context.Context, args []string, stdout io.Writer) error {
	r, err := parseRole("bare", args)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(r.nats, nats.IgnoreDiscoveredServers())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	cons, err := js.Consumer(ctx, intake, activator)
	if err != nil {
		return err
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(2 * r.inFlight))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	client := newClient(r.partner, r.inFlight)
	work := make(chan jetstream.Msg)
	var workers sync.WaitGroup
	for range r.inFlight {
		workers.Go(func() {
			for msg := range work {
				if err := bareStep(ctx, js, client, msg); err != nil {
					_ = msg.Nak() // it comes again
				}
			}
		})
	}
	fmt.Fprintln(stdout, "ready")
	for {
		msg, err := messages.Next()
		if err != nil {
			break
		}
		work <- msg
	}
	close(work)
	workers.Wait()
	return nil
}

func bareStep(ctx context.Context, js jetstream.JetStream, client *client, msg jetstream.Msg) error {
	id, err := domainOf(msg.Data())
	if err != nil {
		return err
	}
	answer, err := client.activate(ctx, id)
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, outcomeSubject(id), answer); err != nil {
		return err
	}
	return msg.Ack()
}

// domainOf is the customer whom an announcement is about.
func domainOf(data []byte) (int64, error) {
	var event struct {
		Data struct {
			DomainID int64 `json:"domainId"`
		} `json:"data"`
	}
	err := json.Unmarshal(data, &event)
	return event.Data.DomainID, err
}

// client calls the partner over connections that it keeps.
type client struct {
	http *http.Client
	base string
}

func newClient(base string, inFlight int) *client {
	return &client{base: base, http: &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight, IdleConnTimeout: time.Minute},
	}}
}

func (c *client) activate(ctx context.Context, domainID int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/partners/customers/"+strconv.FormatInt(domainID, 10)+"/activate", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer bench")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the partner says %s", resp.Status)
	}
	return body, err
}

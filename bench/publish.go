package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// way is how compare-and-set records are published.
type way struct {
	Async       bool
	Connections int
}

func (w way) String() string {
	return fmt.Sprintf("publish: %s, connections %d", w.mode(), w.Connections)
}

func (w way) mode() string {
	if w.Async {
		return "asynchronous"
	}
	return "synchronous"
}

func waysToPublish() []way {
	return []way{{false, 1}, {true, 1}, {false, 2}, {true, 2}, {false, 4}, {true, 4}}
}

// published is what a process says of its run.
type published struct {
	PerSecond float64
	Took      time.Duration
}

// runPublish stores two records for each customer, the second expecting the first, as the worker does, and as many customers at
// once: so many goroutines that wait for each answer, or each with the library's asynchronous publish, which is awaited all the same
// before the next record of that customer.
func runPublish(ctx context.Context, args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("publish", flag.ContinueOnError)
	url := f.String("nats", "", "address")
	atOnce := f.Int("in-flight", 64, "customers at the same time")
	count := f.Int("events", 10_000, "customers")
	connections := f.Int("connections", 1, "among which they are divided")
	async := f.Bool("async", false, "publish asynchronously")
	if err := f.Parse(args); err != nil {
		return err
	}
	var all []jetstream.JetStream
	defer func() {
		for _, js := range all {
			js.Conn().Close()
		}
	}()
	for range *connections {
		nc, err := nats.Connect(*url, nats.IgnoreDiscoveredServers())
		if err != nil {
			return err
		}
		js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(*atOnce))
		if err != nil {
			nc.Close()
			return err
		}
		all = append(all, js)
	}
	data := customer(firstID)
	var next atomic.Int64
	var workers sync.WaitGroup
	errs := make(chan error, *atOnce)
	began := time.Now()
	for i := range *atOnce {
		js := all[i%len(all)]
		workers.Go(func() {
			for id := next.Add(1); id <= int64(*count); id = next.Add(1) {
				if err := bothRecords(ctx, js, firstID+id, data, *async); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	select {
	case err := <-errs:
		return err
	default:
	}
	said, err := json.Marshal(published{PerSecond: float64(2**count) / took.Seconds(), Took: took})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "published %s\n", said)
	<-ctx.Done() // what it has cost is read before it ends
	return nil
}

func bothRecords(ctx context.Context, js jetstream.JetStream, domainID int64, data []byte, async bool) error {
	family := "activation.customer." + strconv.FormatInt(domainID, 10) + "."
	expected := uint64(0)
	for _, state := range []string{"started", "activated"} {
		msg := &nats.Msg{Subject: family + state, Data: data, Header: nats.Header{
			jetstream.ExpectedLastSubjSeqHeader:     {strconv.FormatUint(expected, 10)},
			jetstream.ExpectedLastSubjSeqSubjHeader: {family + "*"},
		}}
		ack, err := publishOne(ctx, js, msg, async)
		if err != nil {
			return err
		}
		expected = ack.Sequence
	}
	return nil
}

func publishOne(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, async bool) (*jetstream.PubAck, error) {
	if !async {
		return js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	}
	future, err := js.PublishMsgAsync(msg)
	if err != nil {
		return nil, err
	}
	select {
	case ack := <-future.Ok():
		return ack, nil
	case err := <-future.Err():
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// oncePublish makes one run of one way.
func oncePublish(ctx context.Context, o options, w way) (r result, err error) {
	s, err := openSite(ctx, o, 1, 0)
	defer s.close()
	if err != nil {
		return r, err
	}
	p, err := startSelf("publish", "-nats", s.servers.url, "-in-flight", strconv.Itoa(o.inFlight), "-events", strconv.Itoa(o.events/2),
		"-connections", strconv.Itoa(w.Connections), "-async="+strconv.FormatBool(w.Async))
	if err != nil {
		return r, err
	}
	defer p.stop()
	said, err := p.says(ctx, "published")
	if err != nil {
		return r, err
	}
	var told published
	if err := json.Unmarshal([]byte(said), &told); err != nil {
		return r, err
	}
	if told.PerSecond <= 0 {
		return r, errors.New("nothing was published")
	}
	r.perSecond = told.PerSecond
	r.cpu = p.stop().cpu / time.Duration(o.events/2*2)
	return r, nil
}

package census

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// Replica is a worker on the ledger.
type Replica struct {
	Worker, Version string    // empty Version: it is too old to tell, and Worker is how its consumer is called
	Since           time.Time // when it began to follow the ledger, to the second
}

// Keys of the metadata of a consumer by which a worker counts: other workers read there who is at work.
const (
	metaWorker  = "worker"
	metaVersion = "version"
	metaSince   = "since"
)

func (c *Census) metadata() map[string]string {
	return map[string]string{metaWorker: c.o.Worker, metaVersion: c.o.Version, metaSince: c.since.Format(time.RFC3339)}
}

// Replicas are the workers that follow the ledger, sorted by name and time: each has a consumer on it. One that ended in order is missing at once,
// one that was killed or cut off within half a minute. Workers whose NATS user may have no consumer there are never seen.
// It asks the server each time, but for an hour after a refusal.
func (c *Census) Replicas(ctx context.Context) ([]Replica, error) {
	if err := c.refusal(); err != nil {
		return nil, err
	}
	var infos []*jetstream.ConsumerInfo
	err := broker.Permitted(ctx, c.o.JetStream.Conn(), func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		infos, err = c.consumers(ctx)
		return err
	})
	switch subject := "CONSUMER.LIST." + c.o.Stream; {
	case err == nil:
		return replicasOf(infos), nil
	case errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), subject):
		err = fmt.Errorf("who is at work is not known: grant the worker's NATS user to publish on $JS.API.%s, as deploy/nats/accounts.conf does: %w", subject, err)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.unlisted, c.refused = err, time.Now()
		return nil, err
	default:
		return nil, fmt.Errorf("list the consumers of stream %s: %w", c.o.Stream, err)
	}
}

// refusal is why the user may not list consumers, where that was lately said.
func (c *Census) refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.refused) < deniedAgain {
		return c.unlisted
	}
	return nil
}

func (c *Census) consumers(ctx context.Context) (infos []*jetstream.ConsumerInfo, err error) {
	stream, err := c.o.JetStream.Stream(ctx, c.o.Stream)
	if err != nil {
		return nil, err
	}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		infos = append(infos, info)
	}
	return infos, list.Err()
}

func replicasOf(infos []*jetstream.ConsumerInfo) []Replica {
	var all []Replica
	for _, info := range infos {
		if !strings.HasPrefix(info.Name, events.ConsumerCensus) {
			continue
		}
		since, err := time.Parse(time.RFC3339, info.Config.Metadata[metaSince])
		if err != nil {
			since = info.Created.Truncate(time.Second)
		}
		all = append(all, Replica{cmp.Or(info.Config.Metadata[metaWorker], info.Name), info.Config.Metadata[metaVersion], since.UTC()})
	}
	slices.SortFunc(all, func(a, b Replica) int {
		return cmp.Or(cmp.Compare(a.Worker, b.Worker), a.Since.Compare(b.Since), cmp.Compare(a.Version, b.Version))
	})
	return slices.Compact(all) // who lost a consumer has another one for a while
}

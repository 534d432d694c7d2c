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
// one that was killed or lost its connection after half a minute. Workers whose NATS user may have no consumer there are never seen.
// It asks the server each time, but for an hour after a refusal.
func (c *Census) Replicas(ctx context.Context) ([]Replica, error) {
	c.listing.Lock()
	defer c.listing.Unlock()
	if c.unlisted != nil && time.Since(c.refused) < deniedAgain {
		return nil, c.unlisted
	}
	var infos []*jetstream.ConsumerInfo
	err := broker.Permitted(ctx, c.o.JetStream.Conn(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		stream, err := c.o.JetStream.Stream(ctx, c.o.Stream)
		if err != nil {
			return err
		}
		consumers := stream.ListConsumers(ctx)
		infos = nil
		for info := range consumers.Info() {
			infos = append(infos, info)
		}
		return consumers.Err()
	})
	c.unlisted = nil
	if err != nil {
		err = fmt.Errorf("list the consumers of stream %s: %w", c.o.Stream, err)
	}
	if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), "CONSUMER.LIST."+c.o.Stream) {
		err = fmt.Errorf("who is at work is not known: grant the worker's NATS user to publish on $JS.API.CONSUMER.LIST.%s, as deploy/nats/accounts.conf does: %w", c.o.Stream, err)
		c.unlisted, c.refused = err, time.Now()
	}
	return replicasOf(infos), err
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

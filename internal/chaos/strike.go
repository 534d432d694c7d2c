package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// striker carries out the plan.
type striker struct {
	site  *site
	fleet *fleet
	nodes [nodeCount]*node
	js    jetstream.JetStream
	notes *notes
}

// play strikes every blow at its time, those of one place one after the other. It ends when all is over, or soon after ctx.
func (s *striker) play(ctx context.Context, plan Plan, began time.Time) {
	lanes := map[string][]Blow{}
	for _, b := range plan.Blows {
		lanes[b.lane()] = append(lanes[b.lane()], b)
	}
	var playing sync.WaitGroup
	for name, blows := range lanes {
		playing.Go(func() {
			for i, b := range blows {
				if !pause(ctx, time.Until(began.Add(b.At))) {
					return
				}
				s.notes.log("%-32s %s", b.Kind, b.whom())
				if err := s.strike(ctx, b, fmt.Sprintf("%s-%d", name, i)); err != nil && ctx.Err() == nil {
					s.notes.add("%s, %s: %v", b.Kind, b.whom(), err)
				}
				s.notes.count(b.Kind)
			}
		})
	}
	playing.Wait()
}

// lane is the place where the blow is struck.
func (b Blow) lane() string {
	if b.Area == nodes || b.Area == between {
		return map[area]string{nodes: "nodes", between: "routes"}[b.Area]
	}
	return fmt.Sprintf("%s-%d", map[area]string{workers: "worker", toNodes: "nats", toPartner: "partner"}[b.Area], b.Worker)
}

// strike does one blow, waits as long as it lasts and undoes it. id is its own, for the names of toxics.
func (s *striker) strike(ctx context.Context, b Blow, id string) error {
	var w *worker
	if b.Worker > 0 {
		w = s.fleet.workers[b.Worker-1]
	}
	switch b.Kind {
	case workerKilled, workerPoint:
		w.kill()
		pause(ctx, b.For)
		return w.run(ctx, b.Start)
	case workerFrozen, workerFrozenLong:
		return w.freeze(ctx, b.For)
	case workerRestarted, workerUpgraded, workerRolledBack:
		w.stop(ctx)
		return w.run(ctx, b.Start)
	case nodeKilled:
		s.nodes[b.Node-1].kill()
		pause(ctx, b.For)
		return s.nodes[b.Node-1].start()
	case nodesKilled:
		return s.killAll(ctx, b.For)
	case nodeFrozen:
		if err := s.nodes[b.Node-1].signal(syscall.SIGSTOP); err != nil {
			return err
		}
		pause(ctx, b.For)
		return s.nodes[b.Node-1].signal(syscall.SIGCONT)
	case nodeCut:
		return s.cut(ctx, around(b.Node), b.For)
	case nodeHalfOpen:
		return s.poison(ctx, around(b.Node), id, inBoth("timeout", map[string]int{"timeout": 0}), b.For)
	case linkCut:
		return s.cut(ctx, b.links(), b.For)
	case leaderCut:
		b.Node = s.leader(ctx)
		return s.cut(ctx, b.links(), b.For)
	case partnerCut:
		return s.cut(ctx, b.links(), b.For)
	}
	return s.poison(ctx, b.links(), id, b.Toxics, b.For)
}

// links are the proxies that the blow is about.
func (b Blow) links() []string {
	var all []string
	switch {
	case b.Area == toPartner:
		return []string{partnerLink(b.Worker)}
	case b.Area == between:
		return []string{peerLink(b.Node, b.Peer), peerLink(b.Peer, b.Node)}
	case b.Node > 0:
		return []string{nodeLink(b.Worker, b.Node)}
	}
	for node := 1; node <= nodeCount; node++ {
		all = append(all, nodeLink(b.Worker, node))
	}
	return all
}

func (s *striker) killAll(ctx context.Context, d time.Duration) error {
	var dying sync.WaitGroup
	for _, n := range s.nodes {
		dying.Go(n.kill)
	}
	dying.Wait()
	pause(ctx, d)
	for _, n := range s.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

func (s *striker) cut(ctx context.Context, links []string, d time.Duration) error {
	for _, l := range links {
		if err := s.site.proxy.enable(ctx, l, false); err != nil {
			return err
		}
	}
	pause(ctx, d)
	for _, l := range links {
		if err := s.site.proxy.enable(ctx, l, true); err != nil {
			return err
		}
	}
	return nil
}

func (s *striker) poison(ctx context.Context, links []string, id string, toxics []Toxic, d time.Duration) error {
	added := map[string][]string{}
	for _, l := range links {
		ids, err := s.site.proxy.poison(ctx, l, id, toxics)
		if err != nil {
			return err
		}
		added[l] = ids
	}
	pause(ctx, d)
	for _, l := range links {
		for _, toxic := range added[l] {
			if err := s.site.proxy.cure(ctx, l, toxic); err != nil {
				return err
			}
		}
	}
	return nil
}

// leader is the number of the node that leads the ledger's stream; while there is none, some node.
func (s *striker) leader(ctx context.Context) int {
	asking, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if stream, err := s.js.Stream(asking, events.DefaultStream); err == nil && stream.CachedInfo().Cluster != nil {
		names := []string{nodeName(1), nodeName(2), nodeName(3)}
		if i := slices.Index(names, stream.CachedInfo().Cluster.Leader); i >= 0 {
			return i + 1
		}
	}
	return 1
}

// cureAll makes everything well again: proxies open and clean, nodes up. Workers are by now.
func (s *striker) cureAll(ctx context.Context) error {
	if err := s.site.proxy.reset(ctx); err != nil {
		return err
	}
	for _, n := range s.nodes {
		if how := n.endedByItself(); how != "" {
			s.notes.add("%s ended by itself: %s", nodeName(n.number), how)
		}
		if err := n.start(); err != nil {
			return err
		}
		if err := n.signal(syscall.SIGCONT); err != nil {
			return err
		}
	}
	return nil
}

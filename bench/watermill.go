package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"
)

// runWatermill does the same with Watermill's router, its retries, and its NATS subscriber and publisher for production.
// Like the bare loop it keeps no ledger.
func runWatermill(ctx context.Context, args []string, stdout io.Writer) error {
	r, err := parseRole("watermill", args)
	if err != nil {
		return err
	}
	log := watermill.NopLogger{}
	options := []nats.Option{nats.IgnoreDiscoveredServers()}
	subscriber, err := wmnats.NewSubscriber(wmnats.SubscriberConfig{
		URL: r.nats, NatsOptions: options, Unmarshaler: &wmnats.NATSMarshaler{},
		QueueGroupPrefix: pushed, SubscribersCount: r.inFlight, AckWaitTimeout: 30 * time.Second,
		JetStream: wmnats.JetStreamConfig{AckAsync: true, DurablePrefix: pushed, SubscribeOptions: []nats.SubOpt{nats.ManualAck()}},
	}, log)
	if err != nil {
		return err
	}
	publisher, err := wmnats.NewPublisher(wmnats.PublisherConfig{URL: r.nats, NatsOptions: options, Marshaler: &wmnats.NATSMarshaler{}}, log)
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 5 * time.Second}, log)
	if err != nil {
		return err
	}
	router.AddMiddleware(
		middleware.Retry{MaxRetries: 3, InitialInterval: 200 * time.Millisecond, Multiplier: 2, Logger: log}.Middleware,
		middleware.Recoverer,
	)
	client := newClient(r.partner, r.inFlight)
	router.AddConsumerHandler("activate", accepted, subscriber, func(msg *message.Message) error { //nolint:contextcheck // the message brings its own
		id, err := domainOf(msg.Payload)
		if err != nil {
			return err
		}
		answer, err := client.activate(msg.Context(), id)
		if err != nil {
			return err
		}
		return publisher.Publish(outcomeSubject(id), message.NewMessage(watermill.NewUUID(), answer))
	})
	go func() {
		select {
		case <-router.Running():
			fmt.Fprintln(stdout, "ready")
		case <-ctx.Done():
		}
	}()
	return router.Run(ctx)
}

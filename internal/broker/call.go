package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	apiTimeout    = 4 * time.Second       // one request to JetStream
	settleTimeout = 10 * time.Second      // a cluster elects leaders and finds peers within it
	deniedPoll    = 10 * time.Millisecond // a refusal comes beside the request, not as its answer
)

// Error codes of the JetStream API that the client library does not name.
const (
	codeIncomplete     jetstream.ErrorCode = 10004
	codeNoPeers        jetstream.ErrorCode = 10005
	codeNotAssigned    jetstream.ErrorCode = 10007
	codeUnavailable    jetstream.ErrorCode = 10008
	codeNotLeader      jetstream.ErrorCode = 10009
	codeNoResources    jetstream.ErrorCode = 10023
	codeStorageFull    jetstream.ErrorCode = 10047
	codeNotCreated     jetstream.ErrorCode = 10049 // many reasons, told apart by words only
	codeSubjectsTaken  jetstream.ErrorCode = 10065
	codeNotClustered   jetstream.ErrorCode = 10074
	codeStreamOffline  jetstream.ErrorCode = 10118
	codeNoLimits       jetstream.ErrorCode = 10120
	codeMaxBytesNeeded jetstream.ErrorCode = 10113
	codeWantsFilter    jetstream.ErrorCode = 10099
	codeFilterTaken    jetstream.ErrorCode = 10100
)

// call makes one request, again while the cluster may still become ready. Each of the asks is the end of a subject on
// which it asks, such as `STREAM.INFO.ACTIVATION`: what else is refused meanwhile was somebody else's request.
// What the user may not do comes back as a [LayoutError], a missing JetStream as [ErrNoJetStream].
func (a *admin) call(ctx context.Context, object string, asks []string, request func(context.Context) error) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval = 50 * time.Millisecond
	waits.MaxInterval = time.Second
	waits.MaxElapsedTime = settleTimeout
	err := backoff.Retry(func() error {
		err := a.once(ctx, object, asks, request)
		if err != nil && !transient(err) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(waits, ctx))
	_, explained := errors.AsType[*LayoutError](err)
	switch {
	case err == nil, explained:
		return err
	case errors.Is(err, nats.ErrNoResponders), code(err) == jetstream.JSErrCodeJetStreamNotEnabled, code(err) == jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return fmt.Errorf("%s: %w: switch JetStream on in the NATS server and for this account, and check NATS_JS_DOMAIN", object, ErrNoJetStream)
	default:
		return fmt.Errorf("%s: %w", object, err)
	}
}

// once makes one request and watches for the refusal that the server sends beside it.
func (a *admin) once(ctx context.Context, object string, asks []string, request func(context.Context) error) error {
	nc := a.js.Conn()
	before := nc.LastError()
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()

	var refused error
	look := func() {
		if last := nc.LastError(); refused == nil && last != before { //nolint:errorlint // the same words again are a new refusal
			refused = refusedPermission(nc, object, asks, last)
		}
	}
	answered, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(deniedPoll)
		defer tick.Stop()
		for refused == nil {
			select {
			case <-answered:
				return
			case <-tick.C:
				look()
			}
		}
		cancel()
	}()
	err := request(ctx)
	close(answered)
	<-watched
	if err == nil {
		return nil
	}
	if look(); refused != nil {
		return refused
	}
	if timedOut(err) { // an inbox is refused once only, at the connection's first request
		return errors.Join(refusedInbox(nc, before), err)
	}
	return err
}

// refusedPermission tells which subject the user lacks, as the server named it; nil where err is another matter.
func refusedPermission(nc *nats.Conn, object string, asks []string, err error) error {
	if refused := refusedInbox(nc, err); refused != nil {
		return refused
	}
	subject, found := refusedSubject(err, "publish")
	if !found || !slices.ContainsFunc(asks, func(ask string) bool { return asksOn(subject, ask) }) {
		return nil
	}
	return layoutError([]Drift{{
		Object: object, Setting: "permission", Is: "denied", Wants: wanted(err),
		Do: "run `worker setup` as a user who may, or grant it to this one",
	}})
}

// asksOn reports whether a subject is the API's for a request. A consumer's filter may follow its name.
func asksOn(subject, ask string) bool {
	_, filter, found := strings.Cut(subject, "."+ask)
	return found && (filter == "" || filter[0] == '.')
}

// refusedInbox is the refusal of the subscription on which all answers arrive; nil where err is another matter.
func refusedInbox(nc *nats.Conn, err error) error {
	subject, found := refusedSubject(err, "subscription")
	if !found {
		return nil
	}
	inbox := nc.NewRespInbox()
	if subject != inbox[:strings.LastIndexByte(inbox, '.')]+".*" {
		return nil
	}
	return &inboxError{wanted(err)}
}

// wanted is what a refusal is about, in the server's words.
func wanted(err error) string {
	_, wants, _ := strings.Cut(err.Error(), " for ")
	return wants
}

// inboxError says that no answer can reach us, so that nothing else can be said about the streams.
type inboxError struct{ wants string }

func (e *inboxError) Error() string {
	return "the NATS user may not receive answers, permission denied: " + e.wants + "; grant it, or set NATS_INBOX_PREFIX to what the user may subscribe to"
}

func transient(err error) bool {
	if _, refused := errors.AsType[*inboxError](err); refused {
		return false
	}
	switch code(err) {
	case codeIncomplete, codeNoPeers, codeNotAssigned, codeUnavailable, codeNotLeader, codeNoResources, codeStreamOffline:
		return true
	case codeNotCreated: // the server is still removing the directory of a stream deleted just now, or its disk does not answer
		return strings.Contains(err.Error(), "creating store")
	}
	return timedOut(err) || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrDisconnected)
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// code is the JetStream API's error code, 0 where the error is another.
func code(err error) jetstream.ErrorCode {
	if api, ok := errors.AsType[jetstream.JetStreamError](err); ok && api.APIError() != nil {
		return api.APIError().ErrorCode
	}
	return 0
}

// streamRefusals are the reasons why JetStream does not make or change a stream that an operator can do something about.
var streamRefusals = map[jetstream.ErrorCode]Drift{
	codeSubjectsTaken:  {Setting: "subjects", Is: "taken by another stream", Wants: "its own", Do: "find it with `nats stream find --subject`, and take the subjects from it"},
	codeStorageFull:    {Setting: "storage space", Is: "larger than the server still has", Wants: "smaller", Do: "lower WORKER_STREAM_MAX_BYTES or give the server more storage"},
	codeNoResources:    {Setting: "storage space", Is: "larger than the account still has", Wants: "smaller", Do: "lower WORKER_STREAM_MAX_BYTES or give the account more storage"},
	codeNoLimits:       {Setting: "replicas", Is: "without a limit for this account", Wants: "another number", Do: "set WORKER_REPLICAS to a number that the account may use"},
	codeMaxBytesNeeded: {Setting: "max bytes", Is: "unlimited", Wants: "limited for this account", Do: "create the stream by hand with a limit"},
	codeNotClustered:   {Setting: "replicas", Is: "more than one", Wants: "1 on a server without a cluster", Do: "leave WORKER_REPLICAS unset"},
	codeNoPeers:        {Setting: "replicas", Is: "more than there are servers with room", Wants: "fewer", Do: "start the other servers, or set WORKER_REPLICAS"},
}

// consumerRefusals are those of a consumer.
var consumerRefusals = map[jetstream.ErrorCode]Drift{
	codeWantsFilter: filterTaken,
	codeFilterTaken: filterTaken,
}

var filterTaken = Drift{
	Setting: "filter", Is: "taken by another consumer", Wants: "its own",
	Do: "if that is one of the worker's, run `worker setup` once more; else delete it, `nats consumer ls` shows which",
}

// refusal turns what an operator can do something about into a [LayoutError].
func refusal(refusals map[jetstream.ErrorCode]Drift, object string, err error) error {
	drift, known := refusals[code(err)]
	if !known {
		return err
	}
	drift.Object = object
	return layoutError([]Drift{drift})
}

package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

const minMajor, minMinor = 2, 12 // of the server: message schedules

// admin asks JetStream about streams and consumers and changes them. It waits out a cluster that is not ready, and
// recognises what the connection's user may not do.
type admin struct {
	js     jetstream.JetStream
	layout Layout
}

func newAdmin(js jetstream.JetStream, l Layout) (*admin, error) {
	if err := checkVersion(js.Conn().ConnectedServerVersion()); err != nil {
		return nil, err
	}
	return &admin{js: js, layout: l.withDefaults()}, nil
}

// checkVersion refuses a server that is known to be too old; one without a readable version is given the benefit.
func checkVersion(version string) error {
	var major, minor int
	read, _ := fmt.Sscanf(version, "%d.%d", &major, &minor)
	if read == 2 && (major < minMajor || major == minMajor && minor < minMinor) {
		return &VersionError{Is: version}
	}
	return nil
}

func (a *admin) streamInfo(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	err = a.call(ctx, "stream "+name, []string{"STREAM.INFO." + name}, func(ctx context.Context) error {
		s, err := a.js.Stream(ctx, name)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	return info, err
}

func (a *admin) createStream(ctx context.Context, config jetstream.StreamConfig) (info *jetstream.StreamInfo, err error) {
	auto := config.Replicas == 0
	if auto {
		config.Replicas = clusterReplicas
	}
	create := func(ctx context.Context) error {
		s, err := a.js.CreateStream(ctx, config)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	}
	object, asks := "stream "+config.Name, []string{"STREAM.CREATE." + config.Name}
	err = a.call(ctx, object, asks, create)
	if auto && code(err) == codeNotClustered {
		config.Replicas = 1
		err = a.call(ctx, object, asks, create)
	}
	return info, refusal(streamRefusals, object, err)
}

func (a *admin) updateStream(ctx context.Context, config jetstream.StreamConfig) (info *jetstream.StreamInfo, err error) {
	object := "stream " + config.Name
	err = a.call(ctx, object, []string{"STREAM.UPDATE." + config.Name}, func(ctx context.Context) error {
		s, err := a.js.UpdateStream(ctx, config)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	return info, refusal(streamRefusals, object, err)
}

// message is the first of a stream on a subject at or after a sequence, nil for none. Its leader says, whether or not others of the
// stream may be asked, which is another permission.
func (a *admin) message(ctx context.Context, stream, subject string, sequence uint64) (m *jetstream.RawStreamMsg, err error) {
	ask, err := json.Marshal(map[string]any{"seq": sequence, "next_by_subj": subject})
	if err != nil {
		return nil, err
	}
	about, o := "STREAM.MSG.GET."+stream, a.js.Options()
	err = a.call(ctx, "stream "+stream, []string{about}, func(ctx context.Context) error {
		answer, err := a.js.Conn().RequestWithContext(ctx, events.APIPrefix(o.Domain, o.APIPrefix)+about, ask)
		if err != nil {
			return err
		}
		var got struct {
			Error   *jetstream.APIError `json:"error"`
			Message *struct {
				Seq        uint64
				Time       time.Time
				Hdrs, Data []byte
			} `json:"message"`
		}
		err = json.Unmarshal(answer.Data, &got)
		switch {
		case err != nil:
			return err
		case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
			return nil
		case got.Error != nil:
			return got.Error
		case got.Message == nil:
			return errors.New("the server answers without a message")
		}
		m = &jetstream.RawStreamMsg{Sequence: got.Message.Seq, Time: got.Message.Time, Data: got.Message.Data}
		if len(got.Message.Hdrs) > 0 {
			m.Header, err = nats.DecodeHeadersMsg(got.Message.Hdrs)
		}
		return err
	})
	return m, err
}

func (a *admin) consumerInfo(ctx context.Context, s consumerSpec) (*jetstream.ConsumerInfo, error) {
	return a.consumer(ctx, s, "INFO", func(ctx context.Context) (jetstream.Consumer, error) {
		return a.js.Consumer(ctx, s.stream, s.config.Durable)
	})
}

func (a *admin) createConsumer(ctx context.Context, s consumerSpec) (*jetstream.ConsumerInfo, error) {
	return a.consumer(ctx, s, "CREATE", func(ctx context.Context) (jetstream.Consumer, error) {
		return a.js.CreateConsumer(ctx, s.stream, s.config)
	})
}

func (a *admin) updateConsumer(ctx context.Context, s consumerSpec, config jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	return a.consumer(ctx, s, "CREATE", func(ctx context.Context) (jetstream.Consumer, error) {
		return a.js.UpdateConsumer(ctx, s.stream, config)
	})
}

func (a *admin) deleteConsumer(ctx context.Context, s consumerSpec) error {
	return a.call(ctx, s.object(), s.asks("DELETE"), func(ctx context.Context) error {
		return a.js.DeleteConsumer(ctx, s.stream, s.config.Durable)
	})
}

func (a *admin) consumer(ctx context.Context, s consumerSpec, verb string, f func(context.Context) (jetstream.Consumer, error)) (info *jetstream.ConsumerInfo, err error) {
	err = a.call(ctx, s.object(), s.asks(verb), func(ctx context.Context) error {
		c, err := f(ctx)
		if errors.Is(err, jetstream.ErrNotPullConsumer) {
			return layoutError([]Drift{{Object: s.object(), Setting: "delivery", Is: "push", Wants: "pull", Do: s.remedy}})
		}
		if err == nil {
			info = c.CachedInfo()
		}
		return err
	})
	return info, refusal(consumerRefusals, s.object(), err)
}

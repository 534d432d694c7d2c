package broker

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
)

// deniedFor is how long a refusal is believed that is not met again: nobody says when a right is granted. What cannot
// be acknowledged comes again, and is refused again, within half a minute.
const deniedFor = 40 * time.Second

// Denials remembers what the NATS user was lately not allowed to do. A refusal comes beside the request and not as its
// answer, so that whoever made the request only waits in vain. The zero value is ready, and safe for concurrent use.
type Denials struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// List names what was refused lately and is needed, such as `publish on $JS.ACK.SIGNUP.activator.>`.
func (d *Denials) List() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.seen, func(_ string, at time.Time) bool { return time.Since(at) > deniedFor })
	return slices.Sorted(maps.Keys(d.seen))
}

func (d *Denials) note(what string) {
	if d == nil || harmless.MatchString(what) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[string]time.Time{}
	}
	if _, known := d.seen[what]; known || len(d.seen) < 20 {
		d.seen[what] = time.Now()
	}
}

var deniedText = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "?([^" ]+)"?`)

// refusedSubject is the subject of a refusal to do what verb says; found is false where err is another matter.
func refusedSubject(err error, verb string) (subject string, found bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	parts := deniedText.FindStringSubmatch(err.Error())
	if parts == nil || !strings.EqualFold(parts[1], verb) {
		return "", false
	}
	return parts[2], true
}

// denied is what a refusal is about, alike for all messages of a kind; empty where err is no refusal.
func denied(err error) string {
	if subject, found := refusedSubject(err, "publish"); found {
		return "publish on " + alike(subject)
	}
	if subject, found := refusedSubject(err, "subscription"); found {
		return "subscribe to " + alike(subject)
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		return err.Error()
	}
	return ""
}

// alike is the part of a subject that says what it is; the rest only says which.
func alike(subject string) string {
	parts := strings.Split(subject, ".")
	most := len(parts)
	switch {
	case parts[0] == "activation":
		most = 2
	case parts[0] == "_INBOX":
		most = 1
	case strings.HasPrefix(subject, "$JS.ACK."):
		most = 4
	default:
		at := aboutConsumer.FindStringSubmatch(subject)
		switch {
		case at == nil, slices.Contains(named, at[2]):
		case strings.HasPrefix(at[2], events.ConsumerCensus):
			return at[1] + events.ConsumerCensus + "*"
		default:
			most = strings.Count(at[1], ".")
		}
	}
	if len(parts) > most {
		parts = append(parts[:most], ">")
	}
	return strings.Join(parts, ".")
}

// aboutConsumer finds the consumer's name in a subject of the API, and what is before it.
var aboutConsumer = regexp.MustCompile(`^(\$JS\.(?:[^.]+\.)?API\.CONSUMER\.(?:CREATE|DELETE|INFO|RESET|MSG\.NEXT)\.[^.]+\.)([^.]+)`)

// named are the consumers whose names somebody has chosen; the others are called anew at each look.
var named = []string{events.ConsumerActivator, events.ConsumerDue, events.ConsumerRedo, events.ConsumerRequests, "sweep"}

// harmless is what goes on without the right to it: a consumer that was not deleted goes away by itself, and work does not wait for
// the count of customers, nor for who else is at work. What [Ensure] could not make or change it tells, with what to do, for as long as
// it is so: `worker setup` mends it, not the right.
var harmless = regexp.MustCompile(`^publish on \$JS\.(?:[^.]+\.)?API\.(?:STREAM\.CREATE\.|CONSUMER\.[A-Z.]+\.[^.]+\.` + events.ConsumerCensus + `|CONSUMER\.LIST\.|CONSUMER\.(?:DELETE\.[^.]+\.(?:sweep|>)$|CREATE\.[^.]+\.activator(?:\.|$)))`)

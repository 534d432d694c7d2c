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

// List names what was refused lately, such as `publish on $JS.ACK.SIGNUP.activator.>`.
func (d *Denials) List() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.seen, func(_ string, at time.Time) bool { return time.Since(at) > deniedFor })
	return slices.Sorted(maps.Keys(d.seen))
}

func (d *Denials) note(what string) {
	if d == nil {
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
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return ""
	}
	found := deniedText.FindStringSubmatch(err.Error())
	if found == nil {
		return err.Error()
	}
	verb := "publish on "
	if strings.EqualFold(found[1], "subscription") {
		verb = "subscribe to "
	}
	parts := strings.Split(found[2], ".")
	most := 0 // so many tokens say what it is, the others which
	switch {
	case parts[0] == "activation":
		most = 2
	case parts[0] == "_INBOX":
		most = 1
	case strings.HasPrefix(found[2], "$JS.ACK."):
		most = 4
	}
	if most > 0 && len(parts) > most {
		parts = append(parts[:most], ">")
	}
	return verb + strings.Join(parts, ".")
}

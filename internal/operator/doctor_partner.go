package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
)

// secrets says which of our secrets others on this machine can read.
func (d *Doctor) secrets(context.Context) Check {
	if len(d.Exposed) == 0 {
		return Check{Level: OK, Detail: "no file with a secret is open to others"}
	}
	return Check{Level: Warn, Detail: strings.Join(d.Exposed, "; "), WhatToDo: "do what it says, then replace what others may have read"}
}

func (d *Doctor) credentials(ctx context.Context) Check {
	if err := d.Partner.EnsureToken(ctx); err != nil {
		c := Check{Level: Fail, Detail: err.Error(), WhatToDo: "try again later: this may pass"}
		if e, ok := errors.AsType[*partnerapi.Error](err); ok && e.Credentials {
			c.WhatToDo = "correct the LINEWORKS_ settings that it names"
		}
		return c
	}
	return Check{Level: OK, Detail: "an access token is at hand"}
}

var errOneRequest = errors.New("one request is enough for a check")

// partner reads one page of the list of customers, with at most one request.
func (d *Doctor) partner(ctx context.Context) Check {
	err := d.Partner.CanList(ctx, partnerapi.Call{Again: func(context.Context) error { return errOneRequest }})
	if err == nil {
		return Check{Level: OK, Detail: "the list of customers can be read at " + d.Host}
	}
	c := Check{Level: Fail, Detail: err.Error(), WhatToDo: "check LINEWORKS_API_URL, the scope of the app and its partner right"}
	e, ok := errors.AsType[*partnerapi.Error](err)
	switch {
	case !ok:
	case e.Kind == partnerapi.Token:
		c.WhatToDo = "see credentials, above"
	case e.Status == 429, e.Kind == partnerapi.TooLate:
		c.Level, c.WhatToDo = Warn, "try again later: it answers, but this check asks only once"
	case e.Kind == partnerapi.Unclear, e.Kind == partnerapi.NotSent:
		c.WhatToDo = "check the network and HTTPS_PROXY; if they are good, the partner is down, and workers wait for it"
	}
	return c
}

// dns looks for a TXT record that need not be there: that there is none is an answer too.
func (d *Doctor) dns(ctx context.Context) Check {
	if d.Looker == nil {
		return Check{Level: Skipped, Detail: "WORKER_DNS_RESOLVERS is off: ownership records are not watched"}
	}
	sight, err := d.Looker.Look(ctx, ownership.Values{Domain: d.Host, TXTHost: "@", TXTToken: "activation-worker-doctor"})
	switch silent := strings.Join(sight.Unanswered, "; "); {
	case err != nil:
		return Check{Level: Fail, Detail: err.Error(), WhatToDo: "check WORKER_DNS_RESOLVERS and that port 53 is open, by UDP and TCP"}
	case silent != "":
		return Check{Level: Warn, Detail: "some resolvers do not answer: " + silent, WhatToDo: "check WORKER_DNS_RESOLVERS; the others are used meanwhile"}
	}
	return Check{Level: OK, Detail: "every resolver answers for " + d.Host}
}

// The partner's documented limits (partner sheet §5).
const (
	mostPerMinute   = 240 // of one operation, in any minute
	mostSustained   = 120 // of one operation, a minute on average
	mostAtOnce      = 5
	freePlan        = 60
	documentedLimit = "the partner documents 240 a minute for each operation (60 on the Free plan), 120 over half an hour, and 5 at once"
)

// quota looks at the limits that are set, and at what the workers make of them now.
func (d *Doctor) quota(ctx context.Context) Check {
	c := d.limitsSet()
	if d.Connecting == nil && d.Quota != nil {
		d.spent(ctx, &c)
	}
	return c
}

func (d *Doctor) limitsSet() Check {
	peak, sustained := inAnyMinute(d.Peak), onAverage(d.Sustained)
	c := Check{Level: OK, Detail: fmt.Sprintf("peak %s, sustained %s, %d at once", shown(peak), shown(sustained), d.Concurrency)}
	var over []string
	for _, limit := range []struct {
		setting string
		is      float64
		most    float64
	}{
		{"LINEWORKS_RATE", peak, mostPerMinute},
		{"LINEWORKS_SUSTAINED_RATE", sustained, mostSustained},
		{"LINEWORKS_CONCURRENCY", float64(d.Concurrency), mostAtOnce},
	} {
		if limit.is == 0 || limit.is > limit.most {
			over = append(over, limit.setting)
		}
	}
	switch {
	case d.Simulated:
		c.Detail += "; the partner is simulated"
	case len(over) > 0:
		c.Level, c.Detail = Warn, c.Detail+"; "+documentedLimit
		c.WhatToDo = "lower " + strings.Join(over, ", ") + ", unless the partner has agreed to more"
	case peak > freePlan:
		c.Detail += "; on the partner's Free plan LINEWORKS_RATE must be 60/m"
	}
	return c
}

// inAnyMinute is how many requests a rate lets through in the worst minute; 0 for no limit.
func inAnyMinute(r quota.Rate) float64 {
	if r.N == 0 || r.Per >= time.Minute {
		return float64(r.N)
	}
	return onAverage(r)
}

func onAverage(r quota.Rate) float64 {
	if r.N == 0 {
		return 0
	}
	return float64(r.N) * float64(time.Minute) / float64(r.Per)
}

func shown(perMinute float64) string {
	if perMinute == 0 {
		return "without limit"
	}
	return fmt.Sprintf("%.4g a minute", perMinute)
}

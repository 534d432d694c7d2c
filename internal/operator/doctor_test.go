package operator_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/operator"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// fakePartner and fakeLooker answer as told.
type fakePartner struct{ token, list func() error }

func (f fakePartner) EnsureToken(context.Context) error { return f.token() }

func (f fakePartner) CanList(ctx context.Context, call partnerapi.Call) error {
	if call.Again == nil || call.Again(ctx) == nil {
		return errors.New("more than one request would be made")
	}
	return f.list()
}

type fakeLooker func(ownership.Values) (ownership.Sight, error)

func (f fakeLooker) Look(_ context.Context, v ownership.Values) (ownership.Sight, error) { return f(v) }

// away is a doctor without NATS, whom mods give what a case is about.
func away(mods ...func(*operator.Doctor)) *operator.Doctor {
	d := &operator.Doctor{
		Connecting: errors.New("no NATS server answers"), Host: "www.worksapis.com",
		Limits: quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Sustained: quota.Rate{N: 120, Per: time.Minute}, Concurrency: 3},
		Policy: activation.DefaultPolicy(), Now: func() time.Time { return now }, At: func(t time.Time) string { return t.String() },
	}
	for _, mod := range mods {
		mod(d)
	}
	return d
}

// examine makes the checks and returns one.
func examine(t *testing.T, d *operator.Doctor, name string) operator.Check {
	t.Helper()
	var found operator.Check
	if err := d.Examine(t.Context(), func(c operator.Check) error {
		if c.Name == name {
			found = c
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	good := func() error { return nil }
	says := func(err error) func() error { return func() error { return err } }
	asking := func(token, list func() error) func(*operator.Doctor) {
		return func(d *operator.Doctor) { d.Partner = fakePartner{token, list} }
	}
	looking := func(s ownership.Sight, err error) func(*operator.Doctor) {
		return func(d *operator.Doctor) {
			d.Looker = fakeLooker(func(v ownership.Values) (ownership.Sight, error) {
				if v.Domain != d.Host || v.TXTToken == "" {
					return s, errors.New("nothing of use is looked for")
				}
				return s, err
			})
		}
	}
	paced := func(peak, sustained quota.Rate, atOnce int) func(*operator.Doctor) {
		return func(d *operator.Doctor) { d.Peak, d.Sustained, d.Concurrency = peak, sustained, atOnce }
	}
	per := func(n int, d time.Duration) quota.Rate { return quota.Rate{N: n, Per: d} }
	for name, c := range map[string]struct {
		check string
		given func(*operator.Doctor)
		level operator.Level
		text  string
	}{
		"without NATS":                        {"nats", func(*operator.Doctor) {}, operator.Fail, "NATS_URL"},
		"what needs NATS":                     {"timers", func(*operator.Doctor) {}, operator.Skipped, "connection"},
		"no secret is open":                   {"secrets", func(*operator.Doctor) {}, operator.OK, "no file"},
		"a secret is open to others":          {"secrets", func(d *operator.Doctor) { d.Exposed = []string{"NATS_KEY: mode 0644"} }, operator.Warn, "NATS_KEY"},
		"no credentials":                      {"credentials", func(*operator.Doctor) {}, operator.Skipped, "LINEWORKS_"},
		"a token":                             {"credentials", asking(good, good), operator.OK, "token"},
		"a token refused for good":            {"credentials", asking(says(&partnerapi.Error{Op: partnerapi.OpToken, Credentials: true, Trouble: "check LINEWORKS_SCOPE"}), good), operator.Fail, "correct the LINEWORKS_"},
		"a token refused for now":             {"credentials", asking(says(&partnerapi.Error{Op: partnerapi.OpToken}), good), operator.Fail, "may pass"},
		"a list":                              {"partner", asking(good, good), operator.OK, "www.worksapis.com"},
		"no right to the list":                {"partner", asking(good, says(&partnerapi.Error{Op: partnerapi.OpList, Kind: partnerapi.Refused, Status: 403})), operator.Fail, "scope"},
		"the rate limit":                      {"partner", asking(good, says(&partnerapi.Error{Op: partnerapi.OpList, Kind: partnerapi.Refused, Status: 429})), operator.Warn, "only once"},
		"a redirect, which would be a second": {"partner", asking(good, says(&partnerapi.Error{Op: partnerapi.OpList, Kind: partnerapi.TooLate})), operator.Warn, "only once"},
		"the partner is down":                 {"partner", asking(good, says(&partnerapi.Error{Op: partnerapi.OpList, Kind: partnerapi.NotSent})), operator.Fail, "HTTPS_PROXY"},
		"DNS is not watched":                  {"dns", func(*operator.Doctor) {}, operator.Skipped, "WORKER_DNS_RESOLVERS"},
		"all resolvers answer":                {"dns", looking(ownership.Sight{}, nil), operator.OK, "every resolver"},
		"one resolver is silent":              {"dns", looking(ownership.Sight{Unanswered: []string{"192.0.2.53:53: timed out"}}, nil), operator.Warn, "192.0.2.53:53"},
		"all are silent":                      {"dns", looking(ownership.Sight{}, ownership.ErrUnanswered), operator.Fail, "port 53"},
		"the documented pace":                 {"quota", func(*operator.Doctor) {}, operator.OK, "Free plan"},
		"the Free plan's pace":                {"quota", paced(per(60, time.Minute), per(30, time.Minute), 1), operator.OK, "peak 60 a minute"},
		"a pace by the second":                {"quota", paced(per(4, time.Second), per(2, time.Second), 5), operator.OK, "peak 240 a minute"},
		"too many by the second":              {"quota", paced(per(5, time.Second), per(2, time.Second), 5), operator.Warn, "LINEWORKS_RATE"},
		"too many within an hour":             {"quota", paced(per(600, time.Hour), per(600, time.Hour), 5), operator.Warn, "lower LINEWORKS_RATE, unless"},
		"sustained above the half":            {"quota", paced(per(240, time.Minute), per(121, time.Minute), 5), operator.Warn, "lower LINEWORKS_SUSTAINED_RATE"},
		"no limit":                            {"quota", paced(quota.Rate{}, quota.Rate{}, 6), operator.Warn, "LINEWORKS_RATE, LINEWORKS_SUSTAINED_RATE, LINEWORKS_CONCURRENCY"},
		"no limit for a simulator":            {"quota", func(d *operator.Doctor) { d.Peak, d.Simulated = quota.Rate{}, true }, operator.OK, "simulated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := examine(t, away(c.given), c.check)
			if got.Level != c.level || !strings.Contains(got.Detail+got.WhatToDo, c.text) {
				t.Errorf("%+v; want %s with %q", got, c.level, c.text)
			}
		})
	}
}

func TestDoctorEnds(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	n := 0
	if err := away().Examine(t.Context(), func(operator.Check) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("after %d checks: %v", n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	if err := away().Examine(ctx, func(operator.Check) error { return nil }); !errors.Is(err, enough) {
		t.Errorf("stopped: %v", err)
	}
}

// A full disk of the embedded server is seen by nobody else: it answers, and stores nothing.
func TestTheEmbeddedServersDiskIsLookedAt(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]operator.Level{
		t.TempDir(): operator.OK, filepath.Join(t.TempDir(), "none"): operator.Skipped, "/proc": operator.Fail, "": operator.Skipped,
	} {
		c := examine(t, away(func(d *operator.Doctor) { d.DataDir = dir }), "disk")
		if c.Level != want || (c.WhatToDo != "") != (want == operator.Fail) {
			t.Errorf("%q: %+v, want %s", dir, c, want)
		}
	}
}

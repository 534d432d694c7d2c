package events_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// requestMessage is a request's CloudEvent with that data.
func requestMessage(data string) string {
	return `{"specversion":"1.0","id":"other","source":"/worker/forget","type":"customer.activation.requested","subject":"other","time":"2026-03-02T09:00:05Z",` +
		`"dataschema":"urn:activation-worker:customer.activation.requested/v1","datacontenttype":"application/json","data":` + data + `}`
}

func TestARequestReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	for sentence, want := range map[string]events.Request{
		"every field": request(),
		"ids alone":   {ID: "1", Verb: events.VerbForget, User: "unverified-root", Why: "w", IDs: []int64{1}},
		"all failed":  {ID: "1", Verb: events.VerbReplay, User: "u", Why: "w", Selection: events.Selection{AllFailed: true}},
		"rejected":    {ID: "1", Verb: events.VerbReplay, User: "u", Why: "w", Selection: events.Selection{Rejected: true}},
		"a replay":    {ID: "1", Verb: events.VerbCancel, User: "u", Why: "w", Selection: events.Selection{Replay: "01JNAB3T"}},
		"the longest": request(func(r *events.Request) {
			r.Why, r.IDs = strings.Repeat("w", events.MaxWhy), make([]int64, events.MaxRequestIDs)
			for i := range r.IDs {
				r.IDs[i] = int64(i + 1)
			}
		}),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			msg, err := events.EncodeRequest(want, at(5))
			if err != nil {
				t.Fatalf("EncodeRequest: %v", err)
			}
			got, err := events.DecodeRequest(events.RequestSubject(want.Verb, want.User, want.ID), msg)
			if err != nil {
				t.Fatalf("DecodeRequest: %v", err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// Permissions pin the subject down, and nothing else: what the event says of itself is not believed.
func TestWhoAsksForWhatIsToldByTheSubject(t *testing.T) {
	t.Parallel()
	msg := requestMessage(`{"ID":"x","id":"x","verb":"forget","Verb":"forget","user":"root","User":"root","why":"w","ids":[5]}`)
	r, err := events.DecodeRequest("activation.request.cancel.mori.01JNAB3T", []byte(msg))
	if err != nil || r.Verb != events.VerbCancel || r.User != "mori" || r.ID != "01JNAB3T" {
		t.Errorf("read as %+v, error %v", r, err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	const replay = "activation.request.replay.mori.1"
	ids := func(n int) string {
		return `{"why":"w","ids":[` + strings.TrimSuffix(strings.Repeat("1,", n), ",") + `]}`
	}
	for sentence, c := range map[string]struct{ subject, msg, says string }{
		"a token less":                {"activation.request.replay.1", requestMessage(`{"why":"w","ids":[1]}`), "subject"},
		"a token more":                {replay + ".x", requestMessage(`{"why":"w","ids":[1]}`), "subject"},
		"another subject":             {"activation.customer.replay.mori.1", requestMessage(`{"why":"w","ids":[1]}`), "subject"},
		"an unknown verb":             {"activation.request.erase.mori.1", requestMessage(`{"why":"w","ids":[1]}`), "no verb"},
		"a verb in capitals":          {"activation.request.REPLAY.mori.1", requestMessage(`{"why":"w","ids":[1]}`), "no verb"},
		"no JSON":                     {replay, "nonsense", "CloudEvent"},
		"nothing":                     {replay, "", "CloudEvent"},
		"another event":               {replay, strings.Replace(requestMessage(`{"why":"w","ids":[1]}`), "activation.requested\",\"subject", "activated\",\"subject", 1), "CloudEvent"},
		"a later version":             {replay, strings.Replace(requestMessage(`{"why":"w","ids":[1]}`), "/v1", "/v2", 1), "version 1"},
		"no why":                      {replay, requestMessage(`{"ids":[1]}`), "why"},
		"a blank why":                 {replay, requestMessage(`{"why":" \t\n","ids":[1]}`), "why"},
		"a why without end":           {replay, requestMessage(`{"why":"` + strings.Repeat("w", events.MaxWhy+1) + `","ids":[1]}`), "longer"},
		"nobody":                      {replay, requestMessage(`{"why":"w"}`), "nobody"},
		"an empty list":               {replay, requestMessage(`{"why":"w","ids":[]}`), "nobody"},
		"an empty selection":          {replay, requestMessage(`{"why":"w","selection":{"allFailed":false,"since":"0001-01-01T00:00:00Z"}}`), "nobody"},
		"a selection misspelt":        {replay, requestMessage(`{"why":"w","selection":{"everybody":true}}`), "nobody"},
		"too many":                    {replay, requestMessage(ids(events.MaxRequestIDs + 1)), "more than 20000"},
		"the domain 0":                {replay, requestMessage(`{"why":"w","ids":[1,0]}`), "no domain id"},
		"a negative domain":           {replay, requestMessage(`{"why":"w","ids":[-5]}`), "no domain id"},
		"a domain out of range":       {replay, requestMessage(`{"why":"w","ids":[9223372036854775808]}`), "cannot be read"},
		"a fraction":                  {replay, requestMessage(`{"why":"w","ids":[1.5]}`), "cannot be read"},
		"a domain in a string":        {replay, requestMessage(`{"why":"w","ids":["1"]}`), "cannot be read"},
		"an unknown reason":           {replay, requestMessage(`{"why":"w","selection":{"reason":"moon_phase"}}`), "no reason"},
		"a time that is none":         {replay, requestMessage(`{"why":"w","selection":{"since":"yesterday"}}`), "cannot be read"},
		"data that is a list":         {replay, requestMessage(`[]`), "cannot be read"},
		"data that is null":           {replay, requestMessage(`null`), "why"},
		"no data":                     {replay, strings.Replace(requestMessage(`{}`), `"data":`, `"atad":`, 1), "cannot be read"},
		"a rate without unit":         {replay, requestMessage(`{"why":"w","ids":[1],"rate":"30"}`), "rate"},
		"a rate of none":              {replay, requestMessage(`{"why":"w","ids":[1],"rate":"0/m"}`), "rate"},
		"a negative rate":             {replay, requestMessage(`{"why":"w","ids":[1],"rate":"-1/m"}`), "rate"},
		"a rate that floods":          {replay, requestMessage(`{"why":"w","ids":[1],"rate":"100001/s"}`), "rate"},
		"a rate by the day":           {replay, requestMessage(`{"why":"w","ids":[1],"rate":"1/d"}`), "rate"},
		"a rate that is a novel":      {replay, requestMessage(`{"why":"w","ids":[1],"rate":"` + strings.Repeat("9", 5000) + `/m"}`), "rate"},
		"a fraction of a rate":        {replay, requestMessage(`{"why":"w","ids":[1],"rate":"1.5/m"}`), "rate"},
		"a reason that is a novel":    {replay, requestMessage(`{"why":"w","selection":{"reason":"` + strings.Repeat("r", 5000) + `"}}`), "no reason"},
		"a forget that selects by no": {"activation.request.forget.mori.1", requestMessage(`{"why":"w"}`), "nobody"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := events.DecodeRequest(c.subject, []byte(c.msg))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error is %v, want one that says %q", err, c.says)
			}
			if len(err.Error()) > 200 {
				t.Errorf("the refusal has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestTheIntervalOfAReplay(t *testing.T) {
	t.Parallel()
	for rate, want := range map[string]time.Duration{
		"": 2 * time.Second, "30/m": 2 * time.Second, "1/s": time.Second, "10/s": 100 * time.Millisecond, "1/h": time.Hour, "100000/s": 10 * time.Microsecond,
	} {
		if got, err := (events.Request{Rate: rate}).Interval(); err != nil || got != want {
			t.Errorf("of %q it is %v, error %v; want %v", rate, got, err, want)
		}
	}
}

// All that is set must fit.
func TestASelectionFits(t *testing.T) {
	t.Parallel()
	r := sample(events.Failed, failed, func(r *events.Record) { r.Time = at(0) })
	bare := sample(events.Failed, func(r *events.Record) { r.Reason, r.Time = events.Refused, at(0) })
	for sentence, c := range map[string]struct {
		selection events.Selection
		record    *events.Record
		want      bool
	}{
		"all failed":                {events.Selection{AllFailed: true}, r, true},
		"its reason":                {events.Selection{Reason: events.Refused}, r, true},
		"another reason":            {events.Selection{Reason: events.Transient}, r, false},
		"its code":                  {events.Selection{Code: "INVALID_PARAMETER"}, r, true},
		"another code":              {events.Selection{Code: "invalid_parameter"}, r, false},
		"a code, where none was":    {events.Selection{Code: "INVALID_PARAMETER"}, bare, false},
		"its reason, another code":  {events.Selection{Reason: events.Refused, Code: "X"}, r, false},
		"since then":                {events.Selection{Since: at(0)}, r, true},
		"since a moment later":      {events.Selection{Since: at(0).Add(1)}, r, false},
		"until then":                {events.Selection{Until: at(0)}, r, false},
		"until a moment later":      {events.Selection{Until: at(0).Add(1)}, r, true},
		"within":                    {events.Selection{Since: at(-1), Until: at(1)}, r, true},
		"all failed, but not so":    {events.Selection{AllFailed: true, Reason: events.Cancelled}, r, false},
		"rejected is no such thing": {events.Selection{Rejected: true}, r, true},
	} {
		if got := c.selection.Fits(c.record); got != c.want {
			t.Errorf("%s: it is %v, want %v", sentence, got, c.want)
		}
	}
}

func TestAReplaysEventReadsBack(t *testing.T) {
	t.Parallel()
	for _, phase := range []events.Phase{events.Planned, events.Done} {
		want := replayEvent(phase)
		want.Cancelled = phase == events.Done
		id, msg, err := events.EncodeReplay(want, source, at(5))
		if err != nil || id != "replay-01JNAB3T-"+string(phase) {
			t.Fatalf("EncodeReplay: id %s, error %v", id, err)
		}
		got, err := events.DecodeReplay(msg)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v, error %v\nwant %+v", got, err, want)
		}
	}
	for _, msg := range []string{"nonsense", `{"data":[]}`, ``} {
		if _, err := events.DecodeReplay([]byte(msg)); err == nil {
			t.Errorf("%q is read as a replay", msg)
		}
	}
}

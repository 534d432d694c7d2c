package events_test

import (
	"testing"

	"activation-worker/internal/events"
)

func TestAnEventWithoutThePartnersObject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ event, want string }{
		"in its place":            {`{"b":1,"data":{"z":1.50,"customer":{"administrator":{"cellphone":"090"}},"a":9007199254740993}}`, `{"b":1,"data":{"z":1.50,"a":9007199254740993}}`},
		"first":                   {`{"data":{"customer":null,"a":"<&>"}}`, `{"data":{"a":"<&>"}}`},
		"last, and twice":         {`{"data":{"a":[1,2],"customer":1,"customer":{"x":2}}}`, `{"data":{"a":[1,2]}}`},
		"alone":                   {`{"data":{"customer":{}},"z":"\u2028"}`, `{"data":{},"z":"\u2028"}`},
		"written with an escape":  {`{"d\u0061ta":{"c\u0075stomer":{"x":1},"y":2}}`, `{"d\u0061ta":{"y":2}}`},
		"none":                    {`{"data":{"a":{"customer":1}},"customer":2}`, `{"data":{"a":{"customer":1}},"customer":2}`},
		"over several lines":      {"{ \"data\" :\n {\"a\": 1,\n\"customer\": [] } }\n", `{"data":{"a":1}}`},
		"data that is no object":  {`{"data":"customer"}`, `{"data":"customer"}`},
		"an event without data":   {`{}`, `{}`},
		"no event":                {`[]`, ""},
		"an event that is cut":    {`{"data":{"customer":{"x":1}`, ""},
		"an event with more":      {`{} {}`, ""},
		"nothing":                 {``, ""},
		"characters of any kind":  {`{"data":{"domain":"日の出フーズ.example","customer":"日"}}`, `{"data":{"domain":"日の出フーズ.example"}}`},
		"invalid UTF-8 elsewhere": {"{\"x\":\"\xff\",\"data\":{\"customer\":1}}", "{\"x\":\"\xff\",\"data\":{}}"},
	} {
		got, err := events.WithoutCustomer([]byte(c.event))
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// TestAnImpersonalEvent: what is written in any case of letters, or with escapes, is left out too.
func TestAnImpersonalEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ event, want string }{
		"the customer, in any case":    {`{"data":{"Customer":{"a":1},"CUSTOMER":2,"a":9007199254740993}}`, `{"data":{"a":9007199254740993}}`},
		"what the partner says":        {`{"data":{"cause":{"code":"X","partnerText":"090","requestId":"r","description":"d"}}}`, `{"data":{"cause":{"code":"X","requestId":"r","description":"d"}}}`},
		"the same, otherwise written":  {`{"data":{"Cause":{"PartnerT\u0065xt":"090","httpStatus":409.0}}}`, `{"data":{"Cause":{"httpStatus":409.0}}}`},
		"a cause that is none":         {`{"data":{"cause":null,"x":[]}}`, `{"data":{"cause":null,"x":[]}}`},
		"who asked to forget, and why": {`{"data":{"by":"yamada","why":"Yamada asked","wasState":"failed"}}`, `{"data":{"wasState":"failed"}}`},
		"who cancelled, and why":       {`{"data":{"cause":{"description":"cancelled by yamada: asked","unknownOutcome":true},"reason":"cancelled"}}`, `{"data":{"cause":{"unknownOutcome":true},"reason":"cancelled"}}`},
		"no event":                     {`[]`, ""},
		"a cause that is cut":          {`{"data":{"cause":{"partnerText":"x"}`, ""},
	} {
		got, err := events.Impersonal([]byte(c.event))
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %s, %v; want %s", name, got, err, c.want)
		}
	}
}

package events_test

import (
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
)

func TestDecodeRejects(t *testing.T) {
	t.Parallel()
	const attributes = `"specversion":"1.0","id":"A-1","source":"/s","type":"t"`
	for sentence, c := range map[string]struct {
		message events.Message
		decoder events.Decoder
		reason  string
	}{
		"the id 0":                               {message: intake(`{"domainId":0}`), reason: "domain_id_invalid"},
		"the id 0 in a string":                   {message: intake(`{"domainId":"0"}`), reason: "domain_id_invalid"},
		"a negative id":                          {message: intake(`{"domainId":-5}`), reason: "domain_id_invalid"},
		"minus zero":                             {message: intake(`{"domainId":-0}`), reason: "domain_id_invalid"},
		"an id over 2^63-1":                      {message: intake(`{"domainId":9223372036854775808}`), reason: "domain_id_invalid"},
		"an id over 2^63-1 in a string":          {message: intake(`{"domainId":"9223372036854775808"}`), reason: "domain_id_invalid"},
		"an id of a thousand digits":             {message: intake(`{"domainId":` + strings.Repeat("9", 1000) + `}`), reason: "domain_id_invalid"},
		"a fraction":                             {message: intake(`{"domainId":5.5}`), reason: "domain_id_invalid"},
		"5.0":                                    {message: intake(`{"domainId":5.0}`), reason: "domain_id_invalid"},
		"5.0 in a string":                        {message: intake(`{"domainId":"5.0"}`), reason: "domain_id_invalid"},
		"an exponent":                            {message: intake(`{"domainId":5e3}`), reason: "domain_id_invalid"},
		"an exponent in a string":                {message: intake(`{"domainId":"5e3"}`), reason: "domain_id_invalid"},
		"a leading zero in a string":             {message: intake(`{"domainId":"05"}`), reason: "domain_id_invalid"},
		"a leading zero in a number":             {message: intake(`{"domainId":05}`), reason: "invalid_json"},
		"a plus sign":                            {message: intake(`{"domainId":"+5"}`), reason: "domain_id_invalid"},
		"blanks in a string":                     {message: intake(`{"domainId":" 5"}`), reason: "domain_id_invalid"},
		"an underscore":                          {message: intake(`{"domainId":"5_000"}`), reason: "domain_id_invalid"},
		"hexadecimal digits":                     {message: intake(`{"domainId":"0x5"}`), reason: "domain_id_invalid"},
		"digits of another script":               {message: intake(`{"domainId":"５"}`), reason: "domain_id_invalid"},
		"an empty string":                        {message: intake(`{"domainId":""}`), reason: "domain_id_invalid"},
		"a subject wildcard *":                   {message: intake(`{"domainId":"*"}`), reason: "domain_id_invalid"},
		"a subject wildcard >":                   {message: intake(`{"domainId":">"}`), reason: "domain_id_invalid"},
		"a subject token behind the id":          {message: intake(`{"domainId":"5.started"}`), reason: "domain_id_invalid"},
		"a line break behind the id":             {message: intake(`{"domainId":"5\r\n"}`), reason: "domain_id_invalid"},
		"null for an id":                         {message: intake(`{"domainId":null}`), reason: "domain_id_invalid"},
		"true for an id":                         {message: intake(`{"domainId":true}`), reason: "domain_id_invalid"},
		"an object for an id":                    {message: intake(`{"domainId":{"domainId":5}}`), reason: "domain_id_invalid"},
		"a list for an id":                       {message: intake(`{"domainId":[5]}`), reason: "domain_id_invalid"},
		"no id":                                  {message: intake(`{"domain":"a.example"}`), reason: "domain_id_missing"},
		"an id under a key of another case":      {message: intake(`{"domainID":5}`), reason: "domain_id_missing"},
		"an id only further down":                {message: intake(`{"customer":{"domainId":5}}`), reason: "domain_id_missing"},
		"no id where the pointer leads":          {message: intake(`{"domainId":5,"customer":null}`), decoder: events.Decoder{Pointer: "/customer/id"}, reason: "domain_id_missing"},
		"an index past the list's end":           {message: intake(`{"ids":[5]}`), decoder: events.Decoder{Pointer: "/ids/1"}, reason: "domain_id_missing"},
		"an id twice":                            {message: intake(`{"domainId":5,"domainId":5}`), reason: "domain_id_twice"},
		"an id twice, once with escapes":         {message: intake(`{"domainId":5,"d\u006fmain\u0049d":6}`), reason: "domain_id_twice"},
		"an id twice, the first one null":        {message: intake(`{"domainId":null,"domainId":5}`), reason: "domain_id_twice"},
		"an id twice by a step of the pointer":   {message: intake(`{"a":{"id":5},"a":{"id":6}}`), decoder: events.Decoder{Pointer: "/a/id"}, reason: "domain_id_twice"},
		"an id twice in structured data":         {message: structured(`{` + attributes + `,"data":{"domainId":5,"domainId":6}}`), reason: "domain_id_twice"},
		"nothing":                                {message: intake(``), reason: "invalid_json"},
		"white space alone":                      {message: intake(" \n"), reason: "invalid_json"},
		"no JSON":                                {message: intake(`domainId=5`), reason: "invalid_json"},
		"a byte order mark":                      {message: intake("\uFEFF" + `{"domainId":5}`), reason: "invalid_json"},
		"JSON cut off":                           {message: intake(`{"domainId":5`), reason: "invalid_json"},
		"JSON cut off in a string":               {message: intake(`{"domainId":5,"a":"b`), reason: "invalid_json"},
		"a comma too many":                       {message: intake(`{"domainId":5,}`), reason: "invalid_json"},
		"a list":                                 {message: intake(`[{"domainId":5}]`), reason: "not_an_object"},
		"a number":                               {message: intake(`5`), reason: "not_an_object"},
		"null":                                   {message: intake(`null`), reason: "not_an_object"},
		"two objects":                            {message: intake(`{"domainId":5}{"domainId":6}`), reason: "trailing_data"},
		"something behind the object":            {message: intake(`{"domainId":5} x`), reason: "trailing_data"},
		"a brace behind the object":              {message: intake(`{"domainId":5}}`), reason: "trailing_data"},
		"a zero byte behind the object":          {message: intake(`{"domainId":5}` + "\x00"), reason: "trailing_data"},
		"invalid UTF-8 in plain JSON":            {message: intake("{\"domainId\":5,\"a\":\"\xff\"}"), reason: "invalid_utf8"},
		"invalid UTF-8 in binary data":           {message: binary("{\"domainId\":5,\"a\":\"\xc3\"}"), reason: "invalid_utf8"},
		"invalid UTF-8 in a structured event":    {message: structured("{" + attributes + ",\"data\":{\"domainId\":5,\"a\":\"\xed\xa0\x80\"}}"), reason: "invalid_utf8"},
		"invalid UTF-8 behind base64":            {message: structured(`{` + attributes + `,"data_base64":"eyJkb21haW5JZCI6NSwiYSI6Iv8ifQ=="}`), reason: "invalid_utf8"},
		"a structured event that is no JSON":     {message: structured(`nonsense`), reason: "invalid_cloudevent"},
		"a structured event that is null":        {message: structured(`null`), reason: "invalid_cloudevent"},
		"a batch under the structured type":      {message: structured(`[{` + attributes + `,"data":{"domainId":5}}]`), reason: "invalid_cloudevent"},
		"a structured event with trailing data":  {message: structured(`{` + attributes + `,"data":{"domainId":5}} {}`), reason: "invalid_cloudevent"},
		"structured without data":                {message: structured(`{` + attributes + `}`), reason: "invalid_json"},
		"structured with null data":              {message: structured(`{` + attributes + `,"data":null}`), reason: "not_an_object"},
		"structured without id":                  {message: structured(`{"specversion":"1.0","source":"/s","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured with an empty id":            {message: structured(`{"specversion":"1.0","id":"","source":"/s","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured with a number for an id":     {message: structured(`{"specversion":"1.0","id":5,"source":"/s","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured without source":              {message: structured(`{"specversion":"1.0","id":"A-1","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured without type":                {message: structured(`{"specversion":"1.0","id":"A-1","source":"/s","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured without version":             {message: structured(`{"id":"A-1","source":"/s","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured of version 0.3":              {message: structured(`{"specversion":"0.3","id":"A-1","source":"/s","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured of version 2.0":              {message: structured(`{"specversion":"2.0","id":"A-1","source":"/s","type":"t","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured with a time that is none":    {message: structured(`{` + attributes + `,"time":"noon","data":{"domainId":5}}`), reason: "invalid_cloudevent"},
		"structured with a number for base64":    {message: structured(`{` + attributes + `,"data_base64":5}`), reason: "invalid_cloudevent"},
		"structured, a number for base64 first":  {message: structured(`{"data_base64":5,` + attributes + `}`), reason: "invalid_cloudevent"},
		"structured with broken base64":          {message: structured(`{` + attributes + `,"data_base64":"%%"}`), reason: "invalid_cloudevent"},
		"structured with data and base64":        {message: structured(`{` + attributes + `,"data":{"domainId":5},"data_base64":"eyJkb21haW5JZCI6Nn0="}`), reason: "invalid_cloudevent"},
		"structured with data twice":             {message: structured(`{` + attributes + `,"data":{"domainId":5},"data":{"domainId":6}}`), reason: "invalid_cloudevent"},
		"binary without id":                      {message: binary(`{"domainId":5}`, without("ce-id")), reason: "invalid_cloudevent"},
		"binary without source":                  {message: binary(`{"domainId":5}`, without("ce-source")), reason: "invalid_cloudevent"},
		"binary without type":                    {message: binary(`{"domainId":5}`, without("ce-type")), reason: "invalid_cloudevent"},
		"binary of version 0.3":                  {message: binary(`{"domainId":5}`, replaceHeader("ce-specversion", "0.3")), reason: "invalid_cloudevent"},
		"binary of version 2.0":                  {message: binary(`{"domainId":5}`, replaceHeader("ce-specversion", "2.0")), reason: "invalid_cloudevent"},
		"binary of a version that is none":       {message: binary(`{"domainId":5}`, replaceHeader("ce-specversion", "one")), reason: "invalid_cloudevent"},
		"binary with a time that is none":        {message: binary(`{"domainId":5}`, header("ce-time", "noon")), reason: "invalid_cloudevent"},
		"binary with a source that is none":      {message: binary(`{"domainId":5}`, replaceHeader("ce-source", ":")), reason: "invalid_cloudevent"},
		"binary without data":                    {message: binary(``), reason: "invalid_json"},
		"binary whose data is a list":            {message: binary(`[]`), reason: "not_an_object"},
		"binary: types do not save an old event": {message: binary(`{"domainId":5}`, replaceHeader("ce-specversion", "0.3")), decoder: events.Decoder{Types: []string{"t"}}, reason: "invalid_cloudevent"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := decode(t, c.decoder, c.message)
			wantUndecodable(t, err, c.reason)
		})
	}
}

func TestARejectionDoesNotRepeatTheMessage(t *testing.T) {
	t.Parallel()
	const secret = "aki.mori@mail.example"
	for sentence, m := range map[string]events.Message{
		"in the id":              intake(`{"domainId":"` + secret + `"}`),
		"in broken JSON":         intake(`{"domainId":5,"a":"` + secret),
		"behind the object":      intake(`{"domainId":5}` + secret),
		"in a broken CloudEvent": structured(`{"specversion":"1.0","id":"A-1","source":"/s","type":"t","time":"` + secret + `"}`),
		"in a CloudEvent header": binary(`{"domainId":5}`, header("ce-time", secret)),
		"in a version":           structured(`{"specversion":"` + secret + `"}`),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := decode(t, events.Decoder{}, m)
			if err == nil {
				t.Fatal("the message was accepted")
			}
			if strings.Contains(err.Error(), "aki") {
				t.Errorf("the error repeats the message: %v", err)
			}
		})
	}
}

// A million brackets must neither overflow the stack nor hold up the intake.
func TestDecodeSurvivesDeepNesting(t *testing.T) {
	t.Parallel()
	const depth = 1_000_000
	open, shut := strings.Repeat("[", depth), strings.Repeat("]", depth)
	keys := strings.Repeat(`{"domainId":`, depth)
	for sentence, m := range map[string]events.Message{
		"brackets, closed":            intake(`{"domainId":5,"a":` + open + shut + `}`),
		"brackets, open":              intake(`{"domainId":5,"a":` + open),
		"brackets alone":              intake(open + shut),
		"objects":                     intake(keys + "5" + strings.Repeat("}", depth)),
		"in a structured event":       structured(`{"specversion":"1.0","id":"A-1","source":"/s","type":"t","data":` + open + shut + `}`),
		"in an extension":             structured(`{"ext":` + open + shut + `,"specversion":"1.0","id":"A-1","source":"/s","type":"t","data":{"domainId":5}}`),
		"in data in place of base64":  structured(`{"data_base64":` + open + shut + `,"specversion":"1.0","id":"A-1","source":"/s","type":"t"}`),
		"in the data of a binary one": binary(`{"domainId":5,"a":` + open + shut + `}`),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			_, err := decode(t, events.Decoder{}, m)
			if err == nil {
				t.Error("the message was accepted")
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

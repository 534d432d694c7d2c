package partnerapi

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"
)

// documentedObject is the customer as the partner's page shows it.
const documentedObject = `{"tenantId":51200417,"domainId":51200931,"domain":"hinode-foods.example","productId":null,"companyName":"Hinode Foods",` +
	`"phoneNumber":"06-5550-0142","timeZone":"Asia/Tokyo","locale":"ja_JP","enableActiveMxrecord":false,"enableActiveDomain":true,` +
	`"domainType":"DOMAIN","administrator":{"lastName":"Mori","firstName":"Aki","id":"admin","privateEmail":"aki.mori@mail.example",` +
	`"cellphone":"090-5550-0142","countryCode":"+81"},"partnership":{"status":"TERMS_AGREEMENT_READY","customerCode":"C-0931",` +
	`"enablePartnerProfileDisplay":true,"memo":"","enableDeveloperConsoleAccessControl":false,"enableAdminConsoleAccessControl":false,"useOptionPlus":true}}`

// canned is a transport that costs next to nothing, so that what is counted is ours.
type canned struct{ header http.Header }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
	return &http.Response{StatusCode: 200, Header: c.header, ContentLength: int64(len(documentedObject)), Body: io.NopCloser(strings.NewReader(documentedObject))}, nil
}

func BenchmarkActivate(b *testing.B) {
	cfg := Config{APIURL: "http://127.0.0.1:9/v1.0", TokenURL: "http://127.0.0.1:9/token", Timeout: time.Minute, MaxPayload: 64 << 10}
	readyMade("ready")(&cfg)
	c, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	h := http.Header{}
	for name, value := range map[string]string{
		"Content-Type": "application/json; charset=UTF-8", "Date": "Fri, 20 Nov 2026 09:00:00 GMT", "X-Request-Id": "0af7651916cd43dd8448eb211c80319c",
		"rateLimit-limit": "240", "rateLimit-remaining": "17", "rateLimit-reset": "48", "rateLimit-used": "223",
	} {
		h.Set(name, value)
	}
	c.transport.RegisterProtocol("http", canned{h})
	call := Call{Before: time.Now().Add(time.Hour), Starting: func() bool { return true }, Answered: func(Limits) {}}
	b.ReportAllocs()
	for b.Loop() {
		got, err := c.Activate(b.Context(), ourID, call)
		if err != nil || len(got.Object) != len(documentedObject) {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadCustomer(b *testing.B) {
	body := []byte(documentedObject)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if got, trouble := readCustomer(body, false, ourID, 64<<10); trouble != "" || !got.Active {
			b.Fatal(trouble)
		}
	}
}

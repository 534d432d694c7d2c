package partnerapi

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// TestMayFollow is the matrix of places that may get the token.
func TestMayFollow(t *testing.T) {
	t.Parallel()
	const genuine, loopback, other = "https://www.worksapis.com/v1.0", "http://127.0.0.1:8090/v1.0", "https://api.stand-in.example:8443/v1.0"
	for _, tc := range []struct {
		api, location string
		ok            bool
	}{
		{genuine, "https://jp2.worksapis.com/v1.0/x", true},
		{genuine, "https://JP2.WorksApis.com:443/x", true},
		{genuine, "https://a.b.worksapis.com/x", true},
		{genuine, "/v1.0/other", true},
		{genuine, "//jp2.worksapis.com/x", true},
		{genuine, "http://jp2.worksapis.com/x", false},
		{genuine, "https://jp2.worksapis.com:8443/x", false},
		{genuine, "https://worksapis.com/x", false},
		{genuine, "https://evilworksapis.com/x", false},
		{genuine, "https://jp2.worksapis.com.evil.example/x", false},
		{genuine, "https://evil.example/.worksapis.com", false},
		{genuine, "https://evil.example#.worksapis.com", false},
		{genuine, "https://evil.example\\.worksapis.com/", false},
		{genuine, "https://jp2.worksapis.com@evil.example/", false},
		{genuine, "https://user:pw@jp2.worksapis.com/", false},
		{genuine, "https://evil.example%2f.worksapis.com/", false},
		{genuine, "https://evil.c℀.worksapis.com/x", false}, // some mappings of names read a slash in it
		{genuine, "https://127.0.0.1/x", false},
		{genuine, "https:///x", false},
		{genuine, "mailto:a@worksapis.com", false},
		{genuine, "", false},
		{genuine, "https://%zz", false},
		{loopback, "http://127.0.0.1:9000/x", true},
		{loopback, "https://localhost/x", true},
		{loopback, "http://[::1]:1/x", true},
		{loopback, "https://jp2.worksapis.com/x", false},
		{loopback, "ftp://127.0.0.1/x", false},
		{other, "https://api.stand-in.example:8443/y", true},
		{other, "https://api.stand-in.example/y", false},
		{other, "http://api.stand-in.example:8443/y", false},
	} {
		api, err := url.Parse(tc.api)
		if err != nil {
			t.Fatal(err)
		}
		next, why := nextHop(api, api, 307, http.Header{"Location": {tc.location}})
		if (why == "") != tc.ok || (next != nil) != tc.ok {
			t.Errorf("from %s to %q: %v, %q", tc.api, tc.location, next, why)
		}
	}
}

func TestRedirectIsFollowedWithTheToken(t *testing.T) {
	t.Parallel()
	for _, status := range []int{307, 308} {
		second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer ready" || r.URL.RawQuery != "i=2" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			_, _ = w.Write([]byte(activeObject))
		}))
		t.Cleanup(second.Close)
		c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", second.URL+"/deep?i=2")
			w.WriteHeader(status)
		}, readyMade("ready"))
		started := 0
		got, err := c.Activate(t.Context(), ourID, Call{Starting: func() bool { started++; return true }})
		if err != nil || got.Sent != 2 || started != 2 {
			t.Errorf("%d: %+v, %v, started %d", status, got, err, started)
		}
	}
}

func TestRedirectNotFollowed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   int
		location string
		sent     int
	}{
		"301":              {301, "/x", 1},
		"302":              {302, "/x", 1},
		"303":              {303, "/x", 1},
		"304":              {304, "", 1},
		"without Location": {307, "", 1},
		"malformed":        {307, "http://%zz/", 1},
		"strange host":     {307, "https://evil.example/?token=x", 1},
		"for ever":         {307, "/again", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.location != "" {
					w.Header().Set("Location", tc.location)
				}
				w.WriteHeader(tc.status)
			}, readyMade("ready"))
			_, err := c.Activate(t.Context(), ourID, Call{})
			e := failed(t, err, Redirect)
			if e.Sent != tc.sent || int(p.requests.Load()) != tc.sent || e.Status != tc.status || e.MaybeApplied() {
				t.Errorf("%+v, %d arrived", e, p.requests.Load())
			}
		})
	}
}

func TestRedirectToAClosedDoorIsNotSent(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", refusing)
		w.WriteHeader(307)
	}, readyMade("ready"))
	_, err := c.Activate(t.Context(), ourID, Call{})
	if e := failed(t, err, NotSent); e.Sent != 1 {
		t.Errorf("%+v", e)
	}
}

package partnerapi

import (
	"strings"
	"testing"
	"time"
)

func TestNewChecksURLs(t *testing.T) {
	t.Parallel()
	const api, token = "https://www.worksapis.com/v1.0", "https://auth.worksmobile.com/oauth2/v2.0/token"
	for name, tc := range map[string]struct {
		api, token string
		want       []string // settings that the error names; none: no error
	}{
		"the partner's":             {api, token, nil},
		"trailing slash":            {api + "/", token, nil},
		"loopback":                  {"http://127.0.0.1:1/v1.0", "http://localhost:2/token", nil},
		"loopback, IPv6":            {"http://[::1]:1", "http://127.8.9.1/token", nil},
		"another stand-in":          {"https://sim.example/v1.0", "https://sim.example/token", nil},
		"API elsewhere":             {"https://sim.example/v1.0", token, []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}},
		"token elsewhere":           {api, "https://sim.example/token", []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}},
		"only looks like partner's": {"https://evilworksapis.com", token, []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}},
		"http":                      {"http://www.worksapis.com/v1.0", token, []string{"LINEWORKS_API_URL"}},
		"http, looks like loopback": {"http://127.0.0.1.evil.example", "http://localhost.evil.example/t", []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}},
		"no scheme":                 {"www.worksapis.com/v1.0", token, []string{"LINEWORKS_API_URL"}},
		"empty":                     {"", "", []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}},
		"password":                  {api, "https://user:hunter2@auth.worksmobile.com/token", []string{"LINEWORKS_TOKEN_URL"}},
		"query":                     {api + "?key=hunter2", token, []string{"LINEWORKS_API_URL"}},
		"unparsable":                {"https://hunter2%zz/", token, []string{"LINEWORKS_API_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := New(Config{
				APIURL: tc.api, TokenURL: tc.token, Timeout: time.Second, MaxPayload: 1,
				Secrets: func() (Secrets, error) { return Secrets{}, nil },
			})
			if err == nil {
				c.Close()
			}
			if (err == nil) != (len(tc.want) == 0) {
				t.Fatalf("error %v", err)
			}
			for _, setting := range tc.want {
				if !strings.Contains(err.Error(), setting) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %v", err)
				}
			}
		})
	}
	if _, err := New(Config{APIURL: api, TokenURL: token}); err == nil {
		t.Error("a configuration without time-out was taken")
	}
}

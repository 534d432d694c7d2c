package partnerapi

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

func TestFurtherRequestsAskForLeave(t *testing.T) {
	t.Parallel()
	self := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	for name, tc := range map[string]struct {
		api   http.HandlerFunc
		leave int // how often it is given
		asked int
		sent  int
	}{
		"a repeat with a new token":          {reply(http.StatusUnauthorized, `{"code":"UNAUTHORIZED"}`), 9, 1, 2},
		"no leave, no repeat":                {reply(http.StatusUnauthorized, `{"code":"UNAUTHORIZED"}`), 0, 1, 1},
		"each redirect":                      {self, 9, 3, 4},
		"no leave for the second redirect":   {self, 1, 2, 2},
		"an answer needs no further request": {reply(http.StatusOK, activeObject), 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := answering(t, tc.api)
			asked := 0
			_, err := c.Activate(t.Context(), ourID, Call{Again: func(context.Context) error {
				if asked++; asked > tc.leave {
					return errors.New("no")
				}
				return nil
			}})
			if asked != tc.asked || int(p.requests.Load()) != tc.sent {
				t.Errorf("asked %d times and sent %d, wanted %d and %d (%v)", asked, p.requests.Load(), tc.asked, tc.sent, err)
			}
			if asked > tc.leave {
				if e := failed(t, err, TooLate); e.Sent != tc.sent {
					t.Errorf("Sent %d, wanted %d", e.Sent, tc.sent)
				}
			}
		})
	}
}

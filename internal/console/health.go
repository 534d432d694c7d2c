// Package console serves what people and probes look at over HTTP: whether the process
// lives and whether it is ready, the metrics, and a page of how things stand. It decides nothing; the checks come from the
// parts, and what the page shows from a [Source].
package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Check is one thing that must hold for the worker to be ready.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what is, and where it does not hold what to do
	// For is the check that this one fails for alone, if any: where that one is left out, this one is no failure either.
	For string `json:"-"`
}

const checkTimeout = 3 * time.Second

// names are all that checks may be called.
var names = []string{"nats", "streams", "intake", "credentials", "partner", "records"}

// Handler serves /livez, which is 200 while the process works, and /readyz, which is 200
// or 503 with {"ready":bool,"checks":[{"name","ok","detail"}]}; ?exclude=a,b leaves
// checks out, and what fails for them alone; where it names one that there is not, the answer is 400 with the names that there are.
// /metrics is metrics'; nil: there is none.
func Handler(checks func(context.Context) []Check, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"alive": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		excluded := strings.Split(strings.Join(r.URL.Query()["exclude"], ","), ",")
		for _, name := range excluded {
			if name != "" && !slices.Contains(names, name) { // else a slip of the pen in a probe shows when the partner is away
				answer(w, http.StatusBadRequest, map[string]string{"error": fmt.Sprintf("exclude=%.40q: there is no such check; there are %s", name, strings.Join(names, ", "))})
				return
			}
		}
		body := struct {
			Ready  bool    `json:"ready"`
			Checks []Check `json:"checks"`
		}{Ready: true, Checks: []Check{}}
		for _, c := range checks(ctx) {
			if slices.Contains(excluded, c.Name) {
				continue
			}
			body.Ready = body.Ready && (c.OK || c.For != "" && slices.Contains(excluded, c.For))
			body.Checks = append(body.Checks, c)
		}
		status := http.StatusOK
		if !body.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, body)
	})
	return readOnly(mux)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the caller has gone: nobody to tell
}

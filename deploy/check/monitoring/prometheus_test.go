package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"activation-worker/deploy/check/deploytest"
)

var client = &http.Client{Timeout: 10 * time.Second}

// prometheus is a server of the real program, with the shipped configuration but for targets and times.
type prometheus struct {
	url     string
	process *deploytest.Process
}

// startPrometheus starts one that scrapes each job's targets every second. The shipped file's jobs are taken as patterns: activation-worker
// for jobs whose name begins so, node for the rest.
func startPrometheus(t *testing.T, address string, jobs map[string][]string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	var config map[string]any
	if err := yaml.Unmarshal(read(t, deploytest.Shipped("prometheus", "prometheus.yml")), &config); err != nil {
		t.Fatal(err)
	}
	config["global"] = map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"}
	patterns := map[string]map[string]any{}
	for _, c := range config["scrape_configs"].([]any) {
		job := c.(map[string]any)
		patterns[job["job_name"].(string)] = job
	}
	var scraped []any
	for name, targets := range jobs {
		pattern := patterns["node"]
		if strings.HasPrefix(name, "activation-worker") {
			pattern = patterns["activation-worker"]
		}
		job := map[string]any{}
		for key, value := range pattern {
			job[key] = value
		}
		job["job_name"], job["static_configs"] = name, []any{map[string]any{"targets": targets}}
		scraped = append(scraped, job)
	}
	config["scrape_configs"] = scraped
	text, err := yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "prometheus.yml"), text)
	write(t, filepath.Join(dir, "activation.rules.yaml"), []byte(shrink(string(read(t, rulesFile())))))
	p := &prometheus{url: "http://" + address}
	p.process = deploytest.Start(t, deploytest.Command{Path: deploytest.Tool(t, "prometheus"), Dir: dir, Args: []string{
		"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + address, "--log.level=warn",
	}})
	deploytest.AwaitStatus(t, p.url+"/-/ready", http.StatusOK, p.process)
	return p
}

// sample is one series of an answer, with its values over time.
type sample struct {
	Metric map[string]string
	Values [][2]any
	Value  [2]any
}

// latest is the last value that is a number, and whether there is one.
func (s sample) latest() (float64, bool) {
	for _, v := range slices.Backward(append(s.Values, s.Value)) {
		text, ok := v[1].(string)
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil && value == value {
			return value, true
		}
	}
	return 0, false
}

// ask puts a query about the present.
func (p *prometheus) ask(ctx context.Context, expr string) ([]sample, error) {
	var data struct{ Result []sample }
	err := p.get(ctx, "/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// over puts a query about the time from then until now, a sample a second.
func (p *prometheus) over(ctx context.Context, since time.Time, expr string) ([]sample, error) {
	var data struct{ Result []sample }
	at := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
	err := p.get(ctx, "/api/v1/query_range", url.Values{"query": {expr}, "start": {at(since)}, "end": {at(time.Now())}, "step": {"1"}}, &data)
	return data.Result, err
}

// alert is one of /api/v1/alerts.
type alert struct {
	Labels, Annotations map[string]string
	State               string
}

func (p *prometheus) firing(ctx context.Context, job string) ([]alert, error) {
	var data struct{ Alerts []alert }
	err := p.get(ctx, "/api/v1/alerts", nil, &data)
	return slices.DeleteFunc(data.Alerts, func(a alert) bool { return a.State != "firing" || a.Labels["job"] != job }), err
}

func (p *prometheus) get(ctx context.Context, path string, values url.Values, data any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+values.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	var body struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(text, &body); err != nil || body.Status != "success" {
		return fmt.Errorf("%s %s: HTTP %d %s", path, values.Get("query"), answer.StatusCode, text)
	}
	return json.Unmarshal(body.Data, data)
}

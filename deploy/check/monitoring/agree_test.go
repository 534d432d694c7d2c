package monitoring

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// TestEachAlertIsExplained holds alerts, their tests and the runbook against one another.
func TestEachAlertIsExplained(t *testing.T) {
	t.Parallel()
	runbook := string(read(t, filepath.Join(deploytest.Root(), "docs", "runbook.md")))
	tests := string(read(t, deploytest.Shipped("prometheus", "activation.rules.test.yaml")))
	list := string(read(t, deploytest.Shipped("prometheus", "README.md")))
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(runbook, -1) {
		headings[m[1]] = true
	}
	alerts := map[string]bool{}
	for _, r := range shippedRules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has severity %q, want page or ticket", r.Alert, s)
		}
		for _, name := range []string{"summary", "description"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if !headings[r.Alert] {
			t.Errorf("docs/runbook.md has no heading %s", r.Alert)
		}
		if url, want := r.Annotations["runbook_url"], "docs/runbook.md#"+anchor(r.Alert); url != want {
			t.Errorf("%s has the runbook_url %q, want %q", r.Alert, url, want)
		}
		if !strings.Contains(tests, `{alertname="`+r.Alert+`"}`) && !strings.Contains(tests, "alertname: "+r.Alert+"\n") {
			t.Errorf("no promtool test has %s fire", r.Alert)
		}
		if !strings.Contains(list, "| `"+r.Alert+"` |") {
			t.Errorf("deploy/prometheus/README.md does not list %s", r.Alert)
		}
	}
	for heading := range headings {
		if strings.HasPrefix(heading, "Activation") && !alerts[heading] {
			t.Errorf("docs/runbook.md has an entry for %s, which is no alert", heading)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(runbook, -1) {
		if !slices.ContainsFunc(keys(headings), func(h string) bool { return anchor(h) == m[1] }) {
			t.Errorf("docs/runbook.md links to #%s, which it has not", m[1])
		}
	}
}

// anchor is the fragment of a heading, as GitHub and most others make it.
func anchor(heading string) string {
	return regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(strings.ReplaceAll(strings.ToLower(heading), " ", "-"), "")
}

func keys(m map[string]bool) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

// TestEachMetricIsDocumented: rules, dashboard and runbook speak of metrics that are explained.
func TestEachMetricIsDocumented(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, name := range metricName.FindAllString(string(read(t, filepath.Join(deploytest.Root(), "docs", "metrics.md"))), -1) {
		documented[name] = true
	}
	texts := map[string]string{"docs/runbook.md": string(read(t, filepath.Join(deploytest.Root(), "docs", "runbook.md")))}
	for _, r := range shippedRules(t) {
		texts["the rule "+r.name()] = r.Expr
	}
	for _, q := range shippedDashboard(t).queries() {
		texts["the dashboard's "+q.where] = q.expr
	}
	for where, text := range texts {
		for _, name := range metricName.FindAllString(recorded.ReplaceAllString(text, ""), -1) {
			if !documented[name] && !documented[histogramPart.ReplaceAllString(name, "")] {
				t.Errorf("%s speaks of %s, which docs/metrics.md does not explain", where, name)
			}
		}
	}
}

var (
	recorded      = regexp.MustCompile(`[a-z]+:[a-z_]+:[a-z]+`) // names of recording rules
	histogramPart = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// TestTheDashboardIsInOrder looks at what Grafana takes without a word, and what a tired reader stumbles over.
func TestTheDashboardIsInOrder(t *testing.T) {
	t.Parallel()
	d := shippedDashboard(t)
	if d.UID != "activation-worker" || d.SchemaVersion < 41 {
		t.Errorf("uid %q, schemaVersion %d: want activation-worker, which links bear, and 41 or more", d.UID, d.SchemaVersion)
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		t.Error("the first variable is not the data source")
	}
	records := map[string]bool{}
	for _, r := range shippedRules(t) {
		records[r.Record] = true
	}
	ids, cells := map[int]string{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if other := ids[p.ID]; other != "" || p.ID == 0 {
			t.Errorf("%q and %q have the id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies over %q, or outside", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("%q wants a description, a unit and a query", p.Title)
		}
		for _, target := range p.Targets {
			if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%q does not ask the data source that is chosen", p.Title)
			}
			for _, name := range recorded.FindAllString(target.Expr, -1) {
				if !records[name] {
					t.Errorf("%q speaks of %s, which no rule records", p.Title, name)
				}
			}
			if strings.Contains(target.Expr, "sum") && regexp.MustCompile(`\b(activation_customers|activation_consumer_|activation_stream_|activation_quota_(used|limit|places))`).MatchString(target.Expr) &&
				!strings.HasPrefix(target.Expr, "max") {
				t.Errorf("%q sums over replicas what each of them says of all: %s", p.Title, target.Expr)
			}
		}
	}
}

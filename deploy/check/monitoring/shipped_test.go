package monitoring

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"

	"activation-worker/deploy/check/deploytest"
)

// TestMain lets all scenes play at once: they wait more than they work. The flag is still what somebody says on the command line.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "20"); err != nil {
		panic(err)
	}
	os.Exit(deploytest.Main(m))
}

// rule is one of deploy/prometheus/activation.rules.yaml: a recording rule, or an alert.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func (r rule) name() string { return r.Record + r.Alert }

func rulesFile() string { return deploytest.Shipped("prometheus", "activation.rules.yaml") }

func rulesIn(t testing.TB, text []byte) []rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("there are no rules")
	}
	return all
}

func shippedRules(t testing.TB) []rule { return rulesIn(t, read(t, rulesFile())) }

// dashboard is what the tests look at of the one in deploy/grafana.
type dashboard struct {
	UID           string
	SchemaVersion int
	Panels        []panel
	Annotations   struct{ List []struct{ Name, Expr string } }
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct{ Unit string }
	}
	Datasource struct{ UID string }
	Targets    []struct {
		RefID, Expr string
		Datasource  struct{ UID string }
	}
}

func shippedDashboard(t testing.TB) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(read(t, deploytest.Shipped("grafana", "dashboards", "activation-worker.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// query is one of the dashboard's, with where it stands.
type query struct{ where, expr string }

func (d dashboard) queries() []query {
	var all []query
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title + ", " + target.RefID, target.Expr})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, query{"annotation " + a.Name, a.Expr})
	}
	return all
}

var metricName = regexp.MustCompile(`\bactivation_[a-z_]+\b`)

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", filepath.Clean(path)); err != nil { // as a whole: somebody may be reading
		t.Fatal(err)
	}
}

package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestClassification(t *testing.T) {
	t.Parallel()
	want := []Classification{
		{409, "ALREADY_DONE", "refused"}, {409, "", "transient"}, {499, "0123", "terms_pending"}, {400, "a.b-c_D", "dns_unverified"},
	}
	for name, content := range map[string]string{
		"YAML": `# ours
- status: 409
  code: ALREADY_DONE
  reason: refused
- {status: 409, reason: transient}
- {reason: terms_pending, code: 0123, status: "499"}
- {status: 400, code: a.b-c_D, reason: dns_unverified}
`,
		"JSON": "[\n\t{\"status\": 409, \"code\": \"ALREADY_DONE\", \"reason\": \"refused\"},\r\n\t{\"status\": 409, \"code\": null, \"reason\": \"transient\"},\n" +
			"\t{\n\t\t\"status\": 499,\n\t\t\"code\": \"0123\",\n\t\t\"reason\": \"terms_pending\"\n\t},\n{\"status\":400,\"code\":\"a.b-c_D\",\"reason\":\"dns_unverified\"}]\n",
		"YAML with a byte order mark": "\ufeff- {status: 409, code: ALREADY_DONE, reason: refused}\n- {status: 409, code: , reason: transient}\n" +
			"- {status: 499, code: '0123', reason: terms_pending}\n- {status: 400, code: a.b-c_D, reason: dns_unverified}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustLoad(t, flagsOf(t), "WORKER_CLASSIFICATION="+write(t, "classification", content))
			if got := c.Worker.Classification; !slices.Equal(got, want) {
				t.Errorf("got %+v\nwanted %+v", got, want)
			}
		})
	}
}

func TestNoClassification(t *testing.T) {
	t.Parallel()
	if got := mustLoad(t, nil).Worker.Classification; len(got) != 0 {
		t.Errorf("without the setting there is %v", got)
	}
	if got := mustLoad(t, nil, "WORKER_CLASSIFICATION="+write(t, "none", "[]")).Worker.Classification; len(got) != 0 {
		t.Errorf("an empty list gave %v", got)
	}
	// Of a file that a command does not need it only takes the name.
	mustLoad(t, flagsFor(t, []Group{GroupNATS}), "WORKER_CLASSIFICATION=/nowhere")
}

func TestClassificationFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		content string
		want    []string // begins of the problems, one a line
	}{
		"empty":              {"", []string{"the file is not a list; wanted entries like"}},
		"comments alone":     {"# - {status: 409}\n", []string{"the file is not a list"}},
		"a mapping":          {"status: 409\nreason: refused", []string{"the file is not a list"}},
		"no YAML":            {"- {status: 409,\n  reason: hunter2", []string{"the file cannot be used: it is not valid YAML"}},
		"two documents":      {"[]\n---\n[]", []string{"the file cannot be used: it holds more than one YAML document"}},
		"too large":          {"#" + strings.Repeat("x", classificationLimit), []string{"the file cannot be used: the file is larger than 262144 bytes"}},
		"no mapping":         {"- 409", []string{"entry 1: is not a mapping; wanted the fields status, code and reason"}},
		"an alias":           {"- &a {status: 409, reason: refused}\n- *a", []string{"entry 2: is not a mapping"}},
		"a merge":            {"- {<<: {status: 409}, status: 409, reason: refused}", []string{`entry 1: field "<<" is not known`}},
		"a line end":         {"- {status: 409, \"a\\nb\": 1, reason: refused}", []string{`entry 1: field "a\nb" is not known; wanted status, code and reason`}},
		"a list for a value": {"- {status: 409, code: [A], reason: refused}", []string{`entry 1: field "code" is not a single value`}},
		"a field twice":      {"- {status: 409, status: 410, reason: refused}", []string{`entry 1: field "status" is there twice`}},
		"a status that may have been carried out": {
			"- {status: 408, reason: refused}", []string{"entry 1: status 408 leaves open what the partner did, which cannot be re-labelled"},
		},
		"a pair twice": {
			"- {status: 409, reason: refused}\n- {status: 409, code: A, reason: refused}\n- {status: 409, code: '', reason: transient}",
			[]string{"entry 3: has the status and code of entry 1; wanted each pair once"},
		},
		"all at once, in order": {
			"- {status: 399, reason: unknown_outcome}\n" + strings.Repeat("- {status: 400, code: 'a b', reason: refused}\n", 10) + "- {code: " + strings.Repeat("a", 65) + "}\n",
			append(append([]string{
				`entry 1: status "399" is not the status of a definite no; wanted 400 to 499 without 408`,
				`entry 1: reason "unknown_outcome" is not known here; wanted one of transient, dns_unverified, terms_pending, ` +
					`partner_unavailable, customer_not_found, refused`,
			}, tenTimes()...),
				`entry 12: code "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…" is not an error code; wanted at most 64 of`,
				`entry 12: field "status" is missing; wanted it in each entry`,
				`entry 12: field "reason" is missing; wanted it in each entry`,
			),
		},
		"numbers that are none": {
			"- {status: '0409', reason: refused}\n- {status: 500, reason: refused}\n- {status: 4e2, reason: refused}\n- {status: , reason: }",
			[]string{`entry 1: status "0409"`, `entry 2: status "500"`, `entry 3: status "4e2"`, `entry 4: status ""`, `entry 4: reason ""`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := faultsOf(t, flagsOf(t), "WORKER_CLASSIFICATION="+write(t, "classification.yaml", tt.content))
			for i, f := range faults {
				if f.Key != "WORKER_CLASSIFICATION" || f.From != fromEnv || i >= len(tt.want) || !strings.HasPrefix(f.Problem, tt.want[i]) {
					t.Errorf("fault %d: %v", i+1, f)
				}
				if !strings.Contains(f.Problem, "wanted") && !strings.Contains(f.Problem, "cannot be used") {
					t.Errorf("does not say what is wanted: %v", f)
				}
			}
			if len(faults) != len(tt.want) {
				t.Errorf("%d faults, wanted %d:\n%v", len(faults), len(tt.want), faults)
			}
		})
	}
	none := filepath.Join(t.TempDir(), "none")
	if got := faultsOf(t, nil, "WORKER_CLASSIFICATION="+none).Error(); !strings.HasPrefix(got, "WORKER_CLASSIFICATION: names no file that can be found") {
		t.Error(got)
	}
}

func tenTimes() []string {
	var all []string
	for _, n := range strings.Fields("2 3 4 5 6 7 8 9 10 11") {
		all = append(all, "entry "+n+`: code "a b" is not an error code`)
	}
	return all
}

// The content is shown too, and what is printed is still a settings file.
func TestPrintClassification(t *testing.T) {
	t.Parallel()
	file := write(t, "classification.yaml", "- {status: 409, code: ALREADY_DONE, reason: refused}\n- {status: 404, reason: customer_not_found}\n")
	c := mustLoad(t, flagsOf(t, "--classification", file))
	const comments = "#   409 ALREADY_DONE: refused\n#   404: customer_not_found\n"
	got := printed(t, c)
	if want := "\nWORKER_CLASSIFICATION: " + file + " # flag\n" + comments + "# WORKER_EVENT_SOURCE:"; !strings.Contains(got, want) {
		t.Errorf("printed\n%s\nwanted in it\n%s", got, want)
	}
	again := mustLoad(t, flagsOf(t, "--config", write(t, "worker.yaml", got)))
	if !slices.Equal(again.Worker.Classification, c.Worker.Classification) {
		t.Errorf("read back as %v", again.Worker.Classification)
	}
}

package config

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Classification says what one of the partner's definite answers means, over the built-in table.
type Classification struct {
	Status int    // 400 to 499, but not 408
	Code   string // the partner's error code; empty: any with this status that has no entry of its own
	Reason string // as in the ledger
}

// String is the entry as --print-config shows it.
func (c Classification) String() string {
	return strings.TrimSpace(strconv.Itoa(c.Status)+" "+c.Code) + ": " + c.Reason
}

// classificationLimit is room for thousands of entries, and keeps a wrongly named file out of memory.
const classificationLimit = 256 << 10

// classifiable are the reasons that an answer can be given. The others say what the worker or an operator did.
func classifiable() []string {
	return []string{"transient", "dns_unverified", "terms_pending", "partner_unavailable", "customer_not_found", "refused"}
}

// classify reads the file that the setting names.
func (l *loader) classify(c *Config, key string) {
	entries, problems := readClassification(c.Worker.ClassificationFile)
	for _, problem := range problems {
		l.fault(c.wrong(key, problem))
	}
	c.Worker.Classification = entries
}

func readClassification(name string) (entries []Classification, problems []string) {
	b, err := readAtMost(name, classificationLimit)
	if err != nil {
		return nil, []string{"the file cannot be used: " + err.Error()}
	}
	root, err := document(b)
	switch {
	case err != nil:
		return nil, []string{"the file cannot be used: " + err.Error()}
	case root == nil || root.Kind != yaml.SequenceNode:
		return nil, []string{"the file is not a list; wanted entries like {status: 409, code: ALREADY_DONE, reason: refused}, or [] for none"}
	}
	first := map[Classification]int{} // number of the entry, by status and code
	for i, node := range root.Content {
		entry, wrong := classificationOf(node)
		pair := Classification{Status: entry.Status, Code: entry.Code}
		if other := first[pair]; other != 0 && len(wrong) == 0 {
			wrong = append(wrong, fmt.Sprintf("has the status and code of entry %d; wanted each pair once", other))
		} else if other == 0 {
			first[pair] = i + 1
		}
		for _, problem := range wrong {
			problems = append(problems, fmt.Sprintf("entry %d: %s", i+1, problem))
		}
		entries = append(entries, entry)
	}
	return entries, problems
}

// classificationOf understands one entry, and says all that is wrong with it.
func classificationOf(node *yaml.Node) (entry Classification, wrong []string) {
	fields := map[string]func(string) error{
		"status": func(s string) (err error) { entry.Status, err = definiteStatus(s); return err },
		"code":   func(s string) (err error) { entry.Code, err = errorCode(s); return err },
		"reason": func(s string) (err error) { entry.Reason, err = choice(classifiable()...).parse(s); return err },
	}
	if node.Kind != yaml.MappingNode {
		return entry, []string{"is not a mapping; wanted the fields status, code and reason"}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i].Value, node.Content[i+1]
		take, known := fields[name]
		text := value.Value
		if value.Tag == "!!null" {
			text = ""
		}
		switch {
		case !known:
			wrong = append(wrong, fmt.Sprintf("field %s is not known; wanted status, code and reason", shown(name)))
		case seen[name]:
			wrong = append(wrong, fmt.Sprintf("field %q is there twice; wanted once", name))
		case value.Kind != yaml.ScalarNode:
			wrong = append(wrong, fmt.Sprintf("field %q is not a single value; wanted one text or number", name))
		default:
			if err := take(text); err != nil {
				wrong = append(wrong, name+" "+err.Error())
			}
		}
		seen[name] = true
	}
	for _, name := range []string{"status", "reason"} {
		if !seen[name] {
			wrong = append(wrong, fmt.Sprintf("field %q is missing; wanted it in each entry", name))
		}
	}
	return entry, wrong
}

// definiteStatus is the status of a definite no.
func definiteStatus(s string) (int, error) {
	status, err := strconv.Atoi(s)
	switch {
	case err != nil || len(s) != 3 || status < 400 || status > 499:
		return 0, complain(s, "the status of a definite no", "400 to 499 without 408")
	case status == http.StatusRequestTimeout:
		return 0, errors.New("408 leaves open what the partner did, which cannot be re-labelled; wanted 400 to 499 without 408")
	}
	return status, nil
}

var codeShape = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,64}$`)

// errorCode is one of the partner's error codes as the ledger keeps them.
func errorCode(s string) (string, error) {
	if !codeShape.MatchString(s) {
		return "", complain(s, "an error code", "at most 64 of A-Z a-z 0-9 _ . -, or none")
	}
	return s, nil
}

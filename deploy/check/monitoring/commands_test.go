package monitoring

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// inTheirPlace is what the runbook leaves to the reader.
var inTheirPlace = strings.NewReplacer("…", "mended", " ID", " 08a0fa2e-6549-4e99-8119-85559d9e40a3", "TIME", "2026-11-01T00:00:00Z", "FILE", "audit.prom")

// TestTheRunbooksCommandsAreRight types every call of the worker that the runbook names, beside a running one: none is refused as wrong usage,
// which is exit status 2. What it names without an argument has help.
func TestTheRunbooksCommandsAreRight(t *testing.T) {
	t.Parallel()
	ports := deploytest.FreePorts(t, 3)
	address := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", ports[n]) }
	good := newPartner(t, address(0))
	good.start(t)
	s := &scene{t: t, nats: address(1), http: []string{address(2)}, dir: t.TempDir(), partner: good}
	s.start()
	deploytest.AwaitStatus(t, "http://"+address(2)+"/readyz", http.StatusOK, s.worker)

	typed := 0
	for _, m := range regexp.MustCompile("`worker ([^`]+)`").FindAllStringSubmatch(string(read(t, filepath.Join(deploytest.Root(), "docs", "runbook.md"))), -1) {
		args := words(inTheirPlace.Replace(m[1]))
		if len(args) == 1 || args[0] == "watch" { // which would go on
			args = append(args, "--help")
		}
		out, said, status := deploytest.Run(t, deploytest.Command{Path: deploytest.Worker(t), Args: args, Env: s.settings(0, "HOME="+t.TempDir(), "USER=mika")})
		if status == 2 || status != 0 && strings.Contains(said, "unknown") {
			t.Errorf("worker %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, said)
		}
		typed++
	}
	if typed < 30 {
		t.Errorf("%d calls are found: is the runbook read as it is written?", typed)
	}
}

var word = regexp.MustCompile(`"[^"]*"|\S+`)

// words are the words of a command as a shell finds them, where no quote stands within one.
func words(text string) []string {
	all := word.FindAllString(text, -1)
	for i := range all {
		all[i] = strings.Trim(all[i], `"`)
	}
	return all
}

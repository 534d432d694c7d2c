package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"activation-worker/internal/config"
	"activation-worker/internal/events"
)

var (
	plainID      = regexp.MustCompile(`^[1-9][0-9]*$`)
	fuzzedMoment = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
)

// idOf reads a domain id by other means than the product's.
func idOf(text string) (int64, bool) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || !plainID.MatchString(text) || !n.IsInt64() {
		return 0, false
	}
	return n.Int64(), true
}

// FuzzSubmit: a file of ids gives each line's id in order, or a usage error and nothing at all; and what is announced for an id is read
// as that id by whoever looks at the same pointer.
func FuzzSubmit(f *testing.F) {
	for _, text := range []string{
		"51200931\n", "\ufeff51200931\r\n51200932\r\n\r\n", " 1 \n\t2\t\n", "0\n", "01\n", "1.0\n", "9223372036854775807\n9223372036854775808", "1,2\n", "", "\n\n", "+1",
		"1\r2\n", "1\x00\n", "\xff\n", "1\ufeff\n", "\ufeff\ufeff1\n", strings.Repeat("x\n", 40), strings.Repeat("1", maxSubmitLine+1), "1\n" + strings.Repeat(" ", maxSubmitLine), "١\n", "id\n1\n",
	} {
		f.Add([]byte(text), "/domainId")
	}
	f.Add([]byte("7"), "/customer/id")
	f.Add([]byte("7"), "/acceptedAt")
	f.Add([]byte("7"), "/a~1b/~01/")
	f.Add([]byte("7"), "/0/\u2028<")
	f.Fuzz(func(t *testing.T, input []byte, pointer string) {
		got, err := idsToSubmit([]string{"-"}, "", bytes.NewReader(input))
		var want []int64
		bad := false
		for i, line := range strings.Split(string(input), "\n") {
			if i == 0 {
				line = strings.TrimPrefix(line, "\ufeff")
			}
			line = strings.TrimSpace(line)
			id, ok := idOf(line)
			bad = bad || !ok && line != ""
			if ok {
				want = append(want, id)
			}
		}
		if err != nil {
			long := slices.ContainsFunc(strings.Split(string(input), "\n"), func(line string) bool { return len(line) >= maxSubmitLine-1 })
			if !errors.As(err, new(usageError)) || got != nil || !strings.Contains(err.Error(), "nothing was announced") || len(err.Error()) > 4000 {
				t.Errorf("ids %d, error %q", got, err)
			}
			if !bad && !long && len(want) > 0 {
				t.Errorf("%q is refused: %v", input, err)
			}
			return
		}
		if bad || !slices.Equal(got, want) {
			t.Errorf("%q is read as %d", input, got)
		}
		if pointer == "" || pointer[0] != '/' || !utf8.ValidString(pointer) || strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(pointer), "~") {
			return // the settings refuse it
		}
		data, err := json.Marshal(announcement(pointer, got[0], "hinode-foods.example", "order-7"))
		if err != nil {
			t.Fatal(err)
		}
		a, err := events.Decoder{Pointer: pointer}.Decode(events.Message{Data: data, StoredAt: fuzzedMoment})
		if err != nil || a.DomainID != got[0] {
			t.Errorf("announced %s, read %d at %q, error %v", data, a.DomainID, pointer, err)
		}
	})
}

// FuzzReplay: a replay that the command understands is one that a worker takes, and takes as the same; what it does not understand, it
// says in a few words.
func FuzzReplay(f *testing.F) {
	f.Add("refused", "INVALID_PARAMETER", "24h", "2026-11-20T00:00:00+09:00", "partner fixed its check", "60/m", "", false, false, false)
	f.Add("", "", "", "", "customer has corrected the record", "30/m", "51200931 51200932", false, false, false)
	f.Add("", "", "", "", "", "1/s", "", true, false, true)
	f.Add("", "", "", "", "pointer was wrong", "100000/s", "", false, true, false)
	f.Add("", "", "", "", "x", "30/m", "", false, false, false)
	f.Add("", "", "24h", "", "x", "0/m", "", false, false, false)
	f.Add("", "a b", "", "", "x", "30/m", "", false, false, false)
	f.Add("", strings.Repeat("C", 65), "", "", "x", "30/m", "", false, false, false)
	f.Add("", "", "-1h", "1e9h", "x", "0/m", "", false, false, false)
	f.Add("", "", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59", " \t", "100001/h", "0", false, false, false)
	f.Add("nosuch", "", "24h", "", strings.Repeat("\xff", 400), "30/m/m", "1 x", true, true, false)
	f.Add("", "", "24h", "", strings.Repeat("\xff", 400), "", "", false, false, false)
	f.Add("", "", "", "", "a\x1b[2Jb", "30/m", strings.Repeat("1 ", 12), false, false, false)
	f.Fuzz(func(t *testing.T, reason, code, since, until, why, rate, ids string, allFailed, rejected, dryRun bool) {
		flags := replayFlags{reason: reason, code: code, since: since, until: until, why: why, rate: rate, allFailed: allFailed, rejected: rejected, dryRun: dryRun}
		r, err := flags.request(strings.Fields(ids), fuzzedMoment)
		if err != nil {
			if text := err.Error(); len(text) > 3000 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\x00") {
				t.Errorf("the error reads %q", text)
			}
			return
		}
		if r.Why == "" { // of a dry run, which asks for nothing
			r.Why = "x"
		}
		msg, err := events.EncodeRequest(r, fuzzedMoment)
		if err != nil {
			t.Fatalf("understood, but cannot be written: %v", err)
		}
		taken, err := events.DecodeRequest(events.RequestSubject(r.Verb, "ops", r.ID), msg)
		if err != nil {
			t.Fatalf("understood as %+v, but a worker says: %v", r, err)
		}
		if taken.Why != r.Why || taken.Rate != r.Rate || !slices.Equal(taken.IDs, r.IDs) || taken.Selection.Reason != r.Selection.Reason || taken.Selection.Code != r.Selection.Code ||
			!taken.Selection.Since.Equal(r.Selection.Since) || !taken.Selection.Until.Equal(r.Selection.Until) || taken.Selection.AllFailed != allFailed || taken.Selection.Rejected != rejected {
			t.Errorf("asked for %+v, taken as %+v", r, taken)
		}
		if ago, err := time.ParseDuration(since); err == nil && !r.Selection.Since.Equal(fuzzedMoment.Add(-ago)) {
			t.Errorf("--since %q is %v", since, r.Selection.Since)
		}
		var list listFilter
		if err := list.read(nil, []string{reason}, since, fuzzedMoment); err == nil && !list.since.Equal(r.Selection.Since) {
			t.Errorf("--since %q is %v of a list, %v of a replay", since, list.since, r.Selection.Since)
		}
	})
}

// FuzzArguments: whatever is typed ends in what was asked for or in a usage error; never in a panic, and never in the exit status of work
// that failed. A setting that does not exist keeps every command from going further than its settings, so that nothing is connected to.
func FuzzArguments(f *testing.F) {
	for _, line := range []string{
		"", "--help", "run --print-config", "run --lease 1s --no-such", "list --state failed --reason dns_unverified -o json", "list -o yaml", "list --since yesterday",
		"replay --all-failed --dry-run", "replay 1 2 --why", "replay 0 --why x", "submit 51200931 --domain a.b --reference c", "submit - --file -", "status 1", "status", "status a b",
		"cancel --replay a.b --why x", "cancel 1 --replay r --why x", "forget 1 --why ''", "setup --check --rewind-intake x", "doctor -o json", "watch --since 24h", "version", "version x",
		"completion bash", "completion tcsh", "help run", "help nosuch", "nosuch", "ru", "-x", "--", "run -- a", "--config", "run --config=", "run --config=/nosuch", "simulate --fault x", "demo --forever=maybe",
		"list --state=rejected --reason=refused", "submit\x1b[2J", "--\x1b[2J", "run \xff", "status 99999999999999999999", "replay --rate 0/m --since 1h --why x",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\n"))
	}
	f.Setenv("WORKER_NO_SUCH_SETTING", "1")
	f.Fuzz(func(t *testing.T, lines string) {
		args := strings.Split(lines, "\n")
		for _, arg := range args {
			if strings.Contains(arg, "/dev") || strings.Contains(arg, "/proc") || strings.Contains(arg, "/sys") || strings.HasPrefix(arg, "__complete") {
				return // files that never end; what a shell asks of itself
			}
		}
		root := rootCommand()
		for _, cmd := range root.Commands() {
			if cmd.Name() == "demo" || cmd.Name() == "simulate" { // they read no settings first
				cmd.RunE = func(*cobra.Command, []string) error { return nil }
			}
		}
		var out, errOut bytes.Buffer
		root.SetArgs(args)
		root.SetOut(&out)
		root.SetErr(&errOut)
		root.SetIn(io.MultiReader())
		err := root.ExecuteContext(t.Context())
		if code := exitCode(t.Context(), err); code != exitDone && code != exitUsage {
			t.Errorf("%q exits %d: %v", args, code, err)
		}
		if said := fmt.Sprint(err); out.Len()+errOut.Len() > 200_000 || len(said) > 6000+4*len(lines) {
			t.Errorf("%q prints %d bytes, its error is %q", args, out.Len()+errOut.Len(), said)
		}
		if faults, ok := errors.AsType[config.Faults](err); ok && len(faults) == 0 {
			t.Errorf("%q: no faults, but an error", args)
		}
	})
}

package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// The preview says whom a replay would take, and how to ask for it. What it says is what happens when the command is run, as copied; the page
// itself writes nothing.
func TestTheReplayThatThePageProposes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("w1")
	s.refused(8001, 4)
	s.ready(8011, 2)
	b := open(t, w.console)
	b.awaitData(`[data-count="failed/refused"]`, "value", "4")
	b.awaitData(`[data-figure="activated-today"]`, "value", "2")
	before := s.last()

	b.goTo("#/replay", "replay")
	b.eval(`document.querySelector("#replay-reason").focus()`)
	b.eval(`const e = document.querySelector("#replay-reason"); e.value = "refused"; e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true}))`)
	b.click("#replay-rate")
	b.eval(`document.querySelector("#replay-rate").value = ""`)
	b.keys("60/s")
	b.click("#replay-preview")
	b.awaitData(`[data-replay="moves"]`, "value", "4")
	b.awaitData(`[data-replay-reason^="refused"]`, "value", "4")
	b.awaitData("#replay-result", "complete", "true")
	b.await(`[8001, 8002, 8003, 8004].every(id => document.querySelector('#replay-rows tr[data-customer="' + id + '"]'))`)
	b.await(`!document.querySelector('#replay-rows tr[data-customer="8011"]')`)
	b.await(`document.querySelector("#replay-copy").disabled`)
	why := `nasty ' " $HOME ` + "`id`" + ` \ text; exit 7 # 日本`
	b.click("#replay-why")
	b.keys(why)
	b.await(`!document.querySelector("#replay-copy").disabled`)
	b.click("#replay-copy")
	b.awaitData("#replay-copy", "copied", "true")
	command := ask[string](b, "navigator.clipboard.readText()")
	if shown := ask[string](b, `document.querySelector("#replay-command").textContent`); shown != command {
		t.Errorf("copied is %q, shown %q", command, shown)
	}
	if after := s.last(); !maps.Equal(before, after) {
		t.Errorf("the streams' last messages are %v, were %v before anybody looked", after, before)
	}

	// The partner takes them now.
	for id := 8001; id <= 8004; id++ {
		s.tell("script", fmt.Sprintf(`{"domainId":%d,"operation":"activate","faults":[]}`, id))
	}
	bin := t.TempDir()
	if err := os.Symlink(deploytest.Worker(t), bin+"/worker"); err != nil {
		t.Fatal(err)
	}
	out := deploytest.Must(t, deploytest.Command{Path: "/bin/sh", Args: []string{"-c", command}, Env: append(s.operator(), "PATH="+bin)})
	t.Logf("%s\n%s", command, out)
	b.goTo("#/", "now")
	b.awaitData(`[data-figure="failed"]`, "value", "0")
	b.awaitData(`[data-figure="activated-today"]`, "value", "6")
	if got := s.reasonGiven(); got != why {
		t.Errorf("the audit trail says %q, want %q", got, why)
	}
}

// reasonGiven is why the last replay was asked for, as the ledger has it.
func (s *site) reasonGiven() string {
	s.t.Helper()
	message := s.newest("activation.replay.*")
	if message == nil {
		s.t.Fatal("nothing is on record")
	}
	var event struct{ Data struct{ Why string } }
	if err := json.Unmarshal(message.Data, &event); err != nil {
		s.t.Fatal(err)
	}
	return event.Data.Why
}

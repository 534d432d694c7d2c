package operator_test

import (
	"testing"

	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

func TestEveryStateAndReasonHasItsWords(t *testing.T) {
	t.Parallel()
	seen := map[string]events.Reason{}
	for _, reason := range events.Reasons() {
		for _, state := range []events.State{events.Deferred, events.Failed} {
			words := operator.Explain(&events.Record{State: state, Reason: reason})
			if words.Is == "" || words.WhatToDo == "" {
				t.Errorf("%s(%s) has no words", state, reason)
			}
			if other, twice := seen[words.Is]; twice && other != reason {
				t.Errorf("%s reads like %s", reason, other)
			}
			seen[words.Is] = reason
		}
	}
	for _, state := range []events.State{events.Started, events.Activated} {
		if words := operator.Explain(&events.Record{State: state}); words.Is == "" || words.WhatToDo == "" {
			t.Errorf("%s has no words", state)
		}
	}
}

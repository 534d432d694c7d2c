package ledger_test

import "testing"

// cases are the promises that hold on one server and on three.
var cases = []struct {
	name string
	run  func(*testing.T, *place, *world) // the world is shared; a case that needs its own makes one
}{
	{"claims without reading first", testClaim},
	{"a refused claim returns the record now there", testClaimConflict},
	{"one of a hundred rival claims wins", testRivals},
	{"rivals of an expired lease: one takes over", testRivalTakeover},
	{"the sequences of a customer's records form a chain", testChain},
	{"an outcome that comes too late returns the record now there", testOutcomeConflict},
	{"a write expects the family's last sequence, without a message id", testHeaders},
	{"a stopped write says that the outcome is not known", testWriteEnds},

	{"a stored write whose answer is lost is stored once", testAnswerLost},
	{"a write that is lost on the way is sent again", testRequestLost},
	{"a rival comes first while a write is lost", testRivalWhileLost},
	{"a rival goes on from a write whose answer is lost", testRivalAfterAnswerLost},
	{"a late copy of a lost write changes nothing", testLateCopy},

	{"a claim leaves room for the outcomes of what runs", testRoom},
	{"room counts what runs elsewhere", testRoomElsewhere},
	{"a refused claim holds no room", testRoomAfterConflict},
	{"a refusal for lack of room is forgotten", testFullIsForgotten},
	{"an outcome waits until a full ledger has room", testFullOutcome},
	{"a full ledger does not hold an announcement for ever", testFullAnnouncement},

	{"the sequences of another ledger tell it", testSequencesGoOn},

	{"who waited before the ledger was accepted is looked up first", testFromBefore},
	{"a foreign record is left alone", testForeign},
	{"nothing there is no record", testNothing},
	{"history is what is kept, oldest first", testHistory},
	{"a customer is found by domain name", testFindDomain},
	{"the newest records of all customers, by state", testNewest},
	{"whether a record is the newest is asked about those that are wanted", testNewestWanted},
	{"who goes on while a list is read is not listed as before", testNewestOvertaken},
	{"an announcement is found in the intake", testFindIntake},
	{"readers leave nothing behind on the server", testReadersCleanUp},

	{"a timer fires at its time", testTimerFires},
	{"a wake-up says for when it was set", testWakeUpSaysWhen},
	{"the newest timer replaces the older", testTimerReplaced},
	{"a timer that is dropped does not fire", testDisarm},
	{"a wake-up that is dropped takes no other with it", testDisarmLeavesOthers},
	{"a wake-up is found armed, and when it has fired", testWakeUp},
	{"a replayed customer is woken in the lane of replays", testRedoTarget},

	{"a sweep arms what nothing will wake", testSweep},
	{"a sweep does not rely on a timer that has not fired", testSweepStaleTimer},
	{"a sweep does not rely on a wake-up that does not come", testSweepForgottenWakeUp},
	{"a sweep of many", testSweepMany},
	{"a sweep asks little about who will be woken", testSweepAsksLittle},
	{"a sweep begins where somebody may wait", testSweepGoesOn},
	{"one sweeps at a time", testSweepAlone},
	{"a sweep that is stopped frees the place", testSweepStopped},
	{"a sweep looks after DNS watching and erasure", testSweepWatches},

	{"erasing a customer leaves the last record", testErase},
	{"requests stand until they are carried out or withdrawn", testRequests},
	{"a replay is told, and finds whom it has queued", testReplays},

	{"a rejection is recorded once", testReject},
	{"a second message with the same sequence is rejected too", testRejectAgain},
	{"the intake's state is announced", testAnnounce},
}

func TestOneNode(t *testing.T) {
	t.Parallel()
	runCases(t, oneNode(t))
}

func TestThreeNodes(t *testing.T) {
	t.Parallel()
	p, _ := threeNodes(t)
	runCases(t, p)
}

func runCases(t *testing.T, p *place) {
	t.Helper()
	shared := p.world(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, p, shared)
		})
	}
}

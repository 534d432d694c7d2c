package consumer

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"activation-worker/internal/events"
)

// Check is one line of the worker's readiness.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	For    string `json:"-"` // the check that this one fails for alone, if any
}

// Checks says whether the worker takes work, and if not, why and what to do.
func (w *Worker) Checks(ctx context.Context) []Check {
	shut, since := w.gate.state()
	intake, credentials, partner := w.intakeCheck(ctx), Check{Name: "credentials", OK: true, Detail: "accepted"}, Check{Name: "partner", OK: true, Detail: "answers"}
	if shut != nil {
		detail := fmt.Sprintf("%s since %s; %s", shut.Detail, since.UTC().Format("2006-01-02T15:04:05Z"), shut.WhatToDo)
		wasOK := intake.OK
		intake.OK, intake.Detail = false, "paused ("+shut.Reason+"); "+intake.Detail
		switch shut.Reason {
		case NoCredentials, CredentialsRefused:
			credentials = Check{Name: "credentials", Detail: detail}
			partner.Detail = "not asked: there is no access token"
		case PartnerTrouble, PartnerSilent, EverybodyRefused:
			partner = Check{Name: "partner", Detail: detail}
		default:
			credentials = Check{Name: "credentials", Detail: "not tried yet"}
			partner.Detail = "not asked yet"
		}
		switch {
		case wasOK && !credentials.OK:
			intake.For = credentials.Name
		case wasOK && !partner.OK:
			intake.For = partner.Name
		}
	}
	records := Check{Name: "records", OK: true, Detail: "all understood"}
	if strange := w.strange.list(); len(strange) > 0 {
		records = Check{Name: "records", Detail: "left untouched, a newer worker is needed: " + strings.Join(strange, "; ")}
	}
	return []Check{w.streamsCheck(), intake, credentials, partner, records}
}

func (w *Worker) streamsCheck() Check {
	c := Check{Name: "streams", OK: true, Detail: "there"}
	trouble := cmp.Or(w.obstacleTo(partLayout), w.obstacleTo(partReach), w.obstacleTo(laneDue), w.obstacleTo(laneRedo), w.Ledger.Unstored(), w.obstacleTo(partLedger), w.Pacer.Trouble())
	switch {
	case trouble != nil:
		c.OK, c.Detail = false, trouble.Error()
	default:
		if full := w.Ledger.NoRoom(); full != nil {
			c.OK, c.Detail = false, fmt.Sprintf("stream %s has no room for the outcomes of further attempts: %v", w.Streams.Ledger, full)
		}
	}
	return c
}

// intakeCheck says how many announcements wait before their first claim.
func (w *Worker) intakeCheck(ctx context.Context) Check {
	c := Check{Name: "intake"}
	cons, err := w.JetStream.Consumer(ctx, w.IntakeStream, events.ConsumerActivator)
	if known := w.obstacleTo(laneIntake); err != nil && known != nil {
		err = known
	}
	if err != nil {
		c.Detail = fmt.Sprintf("cannot read stream %s: %v", w.IntakeStream, err)
		return c
	}
	info := cons.CachedInfo()
	c.OK = true
	c.Detail = fmt.Sprintf("%d announcements unread, %d in hand", info.NumPending, info.NumAckPending)
	return c
}

package consumer

import (
	"errors"
	"fmt"

	"activation-worker/internal/activation"
	"activation-worker/internal/partnerapi"
)

// Trouble is why nothing new is taken: it is not the customers' fault.
type Trouble struct {
	Reason   string // one word
	Detail   string
	WhatToDo string
	Blip     bool // may be over in a moment: announced only if it is not

	probe activation.Operation // what failed, and is repeated to see whether it is over; "": a token is enough
}

// Reasons why the intake is paused.
const (
	NoCredentials      = "no_credentials"
	CredentialsRefused = "credentials_refused"
	PartnerTrouble     = "partner_unavailable"
	PartnerSilent      = "partner_down"
	EverybodyRefused   = "everybody_refused"
)

var noCredentials = Trouble{
	Reason: NoCredentials,
	Detail: "no LINE WORKS credentials are configured",
	WhatToDo: "set LINEWORKS_CLIENT_ID, LINEWORKS_CLIENT_SECRET, LINEWORKS_SERVICE_ACCOUNT and LINEWORKS_PRIVATE_KEY " +
		"(or LINEWORKS_ACCESS_TOKEN) and restart the worker",
}

// troubleOf says in an operator's words what keeps the partner from being asked at all.
func troubleOf(err error) Trouble {
	t := Trouble{Reason: PartnerTrouble, Detail: "the partner cannot be asked", WhatToDo: "nothing, if it passes; else check LINEWORKS_API_URL, LINEWORKS_TOKEN_URL and the network"}
	var e *partnerapi.Error
	if errors.As(err, &e) {
		t.Detail = e.Error()
		t.Blip = e.Kind == partnerapi.Token
		if e.Credentials || e.Status == 401 {
			t.Reason, t.Blip = CredentialsRefused, false
			t.WhatToDo = "check the LINEWORKS_ settings of the credentials against the LINE WORKS Developer Console; the worker tries again by itself"
		}
	}
	return t
}

// troubleIn is the trouble that a verdict speaks of.
func troubleIn(v activation.Verdict, c activation.Common, hint *Trouble) Trouble {
	t := Trouble{
		Reason: PartnerTrouble, Detail: v.Text,
		WhatToDo: "check LINEWORKS_API_URL, LINEWORKS_SCOPE and the partner right of the app; the worker tries again by itself",
	}
	switch {
	case c == activation.Silence:
		t.Reason = PartnerSilent
		t.WhatToDo = "nothing, if it passes: the worker tries again by itself; else check the network, LINEWORKS_API_URL and what the partner says of its service"
	case c == activation.SameNo:
		t.Reason = EverybodyRefused
		t.Detail = fmt.Sprintf("%s (%s: HTTP %d %s)", v.Text, v.Cause.Operation, v.Cause.Status, v.Cause.Code)
		t.WhatToDo = "check that LINEWORKS_SERVICE_ACCOUNT belongs to the partner of these customers, and the rights of the app; " +
			"the next customer who is found ends the pause; if the answer is about customers after all, say so with WORKER_CLASSIFICATION"
	case hint != nil && (v.Cause.Kind == activation.NoToken || v.Cause.Status == 401):
		t = *hint
	}
	t.probe = v.Cause.Operation
	if v.Cause.Kind == activation.NoToken {
		t.probe = activation.Nothing
	}
	return t
}

// Package activation holds the decisions, as values: what to do with a customer in a
// given state when something happens ([Next]), what to ask the partner next within an
// attempt ([Plan]), what an answer means ([Classify]), and what is then recorded
// ([Start], [Conclude], [Postpone]).
//
// It does no I/O and has no clock: time, the jitter drawn and every fact come in as
// arguments, the answer goes out as a value.
//
//	          claim                 answer: active
//	none ───────────────▶ started ─────────────────▶ activated
//	                       ▲   │  ▲
//	            due, event │   │  │ lease expired: take over, look up first
//	                       │   ▼  │
//	                     deferred ┘──── given up ──▶ failed ──▶ (new event) started, next round
package activation

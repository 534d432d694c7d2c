// Package partnerapi talks to the LINE WORKS partner API: it activates a
// customer's domain, looks a customer up, reads the DNS values of a domain and
// keeps the access token that all of this needs.
//
// A method makes one call and says exactly what came of it. It does not retry
// behind its caller's back, with two exceptions that the partner asks for: one
// repeat with a new token after 401, and up to three redirects that keep the
// method. When to try again, how fast and how many at once is for the caller,
// who passes in a [Call] what one call may do.
//
// What the caller must be able to rely on:
//
//   - success means success. Activate returns without an error only when the
//     partner's own object shows our customer with an active domain.
//   - "not sent" means not sent. An [Error] of kind NotSent or TooLate says that
//     the request it speaks of was not written; one that may have reached the
//     partner is Unclear.
//   - nothing confidential leaves. Error texts are made of our own sentences;
//     what the partner wrote is masked and kept apart in Error.PartnerText.
//
// The partner's documents leave much open. Answers are therefore read
// leniently: by status first, then by the few fields that decide.
package partnerapi

package partnerapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Operation names what was asked of the partner, as it stands in records and logs.
type Operation string

// The operations. OpToken is the token endpoint, OpList the list of customers.
const (
	OpActivate      Operation = "activate"
	OpCustomer      Operation = "customer"
	OpUpgradeDomain Operation = "upgrade_domain"
	OpList          Operation = "list"
	OpToken         Operation = "token"
)

// Kind says what is certain after a call that did not succeed.
type Kind string

// The kinds. NotSent, TooLate and Redirect speak of the last request of a call:
// earlier ones, counted in Error.Sent, were answered with a redirect or with 401.
const (
	// NotSent: no connection, no TLS, or cancelled first; nothing was written.
	NotSent Kind = "not_sent"
	// TooLate: Call.Before, or the request's own time, forbade the write.
	TooLate Kind = "too_late"
	// Redirect: the partner pointed elsewhere, and there we do not go.
	Redirect Kind = "redirect"
	// Refused: a definite answer, HTTP 4xx, 429 included.
	Refused Kind = "refused"
	// Unclear: the request may have been carried out. Time-out, a connection lost
	// after writing began, 5xx, or a 2xx that does not show what was asked.
	Unclear Kind = "unclear"
	// Token: there is no usable token; see Error.Credentials.
	Token Kind = "token"
)

// Error is what every method returns when it did not get what was asked. Its
// text holds no secret, no token and nothing that the partner wrote but Code.
type Error struct {
	Op       Operation
	DomainID int64 // 0: the call is about no one customer
	Kind     Kind

	// Credentials tells, with kind Token, trouble that lasts until somebody
	// changes credentials, scope or clock from trouble that passes.
	Credentials bool

	Status      int           // HTTP status of the last answer; 0: none
	Code        string        // the partner's error code, [A-Za-z0-9_.-]{1,64}, or empty
	PartnerText string        // the partner's own words, masked, at most 200 bytes; not part of Error()
	RequestID   string        // printable ASCII, at most 128 bytes, or empty
	Sent        int           // requests of the operation that were written, repeats and redirects included
	RetryAfter  time.Duration // the time the partner gave; -1: none
	Trouble     string        // our own sentence: what is wrong, and what to do where that is known

	err error
}

// Error names operation, customer, status, code and trouble. It depends on the
// cause alone: two failures alike read alike.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("partner " + string(e.Op))
	if e.DomainID != 0 {
		b.WriteString(" of customer " + strconv.FormatInt(e.DomainID, 10))
	}
	if e.Op != OpToken {
		b.WriteString(": " + strings.ReplaceAll(string(e.Kind), "_", " "))
	}
	if e.Status != 0 {
		b.WriteString(": HTTP " + strconv.Itoa(e.Status))
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Trouble != "" {
		b.WriteString(": " + e.Trouble)
	}
	return b.String()
}

// Unwrap returns the context's or the network's error, if that was the cause.
func (e *Error) Unwrap() error { return e.err }

// MaybeApplied tells whether the partner may have activated the domain although
// we did not see it: look the customer up before calling again.
func (e *Error) MaybeApplied() bool { return e.Kind == Unclear && e.Op == OpActivate }

// transportTroubles turns errors of the network into sentences of ours. The
// order matters: a refused connection is a failed dial too. Errors in no row
// are not shown and not wrapped, as net/http quotes what it could not read,
// and a wrong proxy setting shows its password.
var transportTroubles = []struct {
	is   func(error) bool
	text string
}{
	{isError(context.Canceled), "cancelled"},
	{isTimeout, "no answer in time"},
	{isA[*net.DNSError], "the host name does not resolve: check the URL and this machine's DNS"},
	{isExpired, "the certificate has ended or does not hold yet: check this machine's clock, then tell the partner"},
	{isA[x509.HostnameError], "the certificate is another host's: check the URL and HTTPS_PROXY"},
	{isCertificate, "the certificate is not trusted: check LINEWORKS_CA, the URL and this machine's clock"},
	{isA[tls.RecordHeaderError], "the other side does not speak TLS: check the URL and HTTPS_PROXY"},
	{isError(errHandshake), "no TLS could be agreed on: the other side has to speak TLS 1.2 or newer; check the URL and HTTPS_PROXY"},
	{isError(errAgain), "connection closed, or the request refused there, before an answer came"},
	{isError(syscall.ECONNREFUSED), "connection refused"},
	{isError(syscall.ECONNRESET), "connection reset"},
	{isError(syscall.EPIPE), "connection closed"},
	{isError(io.EOF), "connection closed"},
	{isError(io.ErrUnexpectedEOF), "connection closed"},
	{isA[*net.OpError], "the network failed"},
	{isError(errTooLong), "it is longer than is read"},
}

// describe returns a sentence for a transport error, and the error itself if
// its text is safe to show.
func describe(err error) (string, error) {
	for _, row := range transportTroubles {
		if row.is(err) {
			return row.text, err
		}
	}
	return "the connection failed, or what came could not be read", nil
}

func isError(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout()
}

func isExpired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

func isCertificate(err error) bool {
	return isA[*tls.CertificateVerificationError](err) || isA[x509.UnknownAuthorityError](err) ||
		isA[x509.HostnameError](err) || isA[x509.CertificateInvalidError](err)
}

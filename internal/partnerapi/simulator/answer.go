package simulator

import (
	"fmt"
	"net/http"
	"strconv"
)

// Form is the shape of an error's body.
type Form string

// The forms. The first is the documented one, the others have been seen or are feared.
const (
	FormCoded    Form = ""            // {"code":"…","description":"…"}
	FormCodeless Form = "codeless"    // {"description":"…"}
	FormEmpty    Form = "empty"       // no body
	FormHTML     Form = "html"        // a proxy's page
	FormOld      Form = "old"         // {"errorMessage":"…","errorCode":"024","code":"…"}
	FormMessage  Form = "message"     // {"code":"…","message":"…"}
	FormNumber   Form = "number-code" // "code" is a number
	FormReturn   Form = "returncode"  // {"returnCode":"99","returnMessage":"…"}
	FormJapanese Form = "japanese"    // Japanese description with control characters, an address and a number
)

// known tells whether f is a form that can be named in text.
func (f Form) known() bool {
	switch f {
	case FormCodeless, FormEmpty, FormHTML, FormOld, FormMessage, FormNumber, FormReturn, FormJapanese:
		return true
	}
	return false
}

// answer is what will be sent, unless a fault says otherwise.
type answer struct {
	status   int
	header   http.Header // keys as they go out, not in Go's spelling
	body     []byte      // used when object is nil
	object   object
	customer bool // object is a customer object
}

// Told is what an answer said about a customer's activation.
type Told string

// What an answer can tell. An answer that shows another customer, or is cut off, tells nothing.
const (
	ToldNothing  Told = ""
	ToldActive   Told = "active"
	ToldInactive Told = "inactive"
)

// usual are the codes and descriptions that go with a status when nothing else is said.
func usual(status int) (code, description string, form Form) {
	switch status {
	case http.StatusBadRequest:
		return "INVALID_PARAMETER", "Invalid parameter.", FormCoded
	case http.StatusUnauthorized:
		return "UNAUTHORIZED", "Malformed authentication token", FormCoded
	case http.StatusForbidden:
		return "ACCESS_DENIED", "Access is denied.", FormCoded
	case http.StatusNotFound:
		return "NOT_FOUND", "Not found.", FormCoded
	case http.StatusMethodNotAllowed:
		return "METHOD_NOT_ALLOWED", "Method is not allowed.", FormCoded
	case http.StatusTooManyRequests:
		return "TOO_MANY_REQUESTS", "API rate limit exceeded", FormCoded
	case http.StatusInternalServerError:
		return "INTERNAL_SERVER_ERROR", "Internal server error", FormCoded
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return "", "", FormHTML
	case http.StatusServiceUnavailable:
		return "", "", FormEmpty
	}
	return "CODE_" + strconv.Itoa(status), http.StatusText(status), FormCoded
}

// failure is an error answer of the API; an empty code and form mean the usual ones.
func failure(status int, code string, form Form) answer {
	usualCode, description, usualForm := usual(status)
	if form == FormCoded && code == "" {
		form = usualForm
	}
	return described(status, orElse(code, usualCode), description, form)
}

func (r Refusal) answer() answer { return failure(r.Status, r.Code, r.Form) }

// described is an error answer with all its parts given.
func described(status int, code, description string, form Form) answer {
	a := answer{status: status, header: http.Header{"Content-Type": {textJSON}}}
	switch form {
	case FormCodeless:
		a.object = object{{"description", description}}
	case FormEmpty:
		a.header = http.Header{}
	case FormHTML:
		a.header = http.Header{"Content-Type": {"text/html"}}
		a.body = fmt.Appendf(nil, "<html><head><title>%d %s</title></head><body><center><h1>%[1]d</h1></center></body></html>\r\n",
			status, http.StatusText(status))
	case FormOld:
		a.object = object{{"errorMessage", description}, {"errorCode", "024"}, {"code", code}}
	case FormMessage:
		a.object = object{{"code", code}, {"message", description}}
	case FormNumber:
		a.object = object{{"code", status}, {"description", description}}
	case FormReturn:
		a.object = object{{"returnCode", "99"}, {"returnMessage", "UnexpectedError"}}
	case FormJapanese:
		a.object = object{{"code", code}, {"description", "ドメインの所有権を確認できません。\a\x1b[31m\r\n連絡先 aki.mori@mail.example 090-5550-0142\x00 \u202e"}}
	default:
		a.object = object{{"code", code}, {"description", description}}
	}
	return a
}

// shown is a success with an object.
func shown(status int, o object) answer {
	return answer{status: status, header: http.Header{"Content-Type": {textJSON}}, object: o}
}

package simulator

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// Operation is one operation of the partner. Limits count for each by itself.
type Operation string

// The operations. OpToken is the token endpoint's and has no limit.
const (
	OpActivate       Operation = "activate"
	OpCustomer       Operation = "customer" // the look-up of one customer
	OpUpgradeDomain  Operation = "upgrade_domain"
	OpRequestUpgrade Operation = "request_upgrade"
	OpChangeDomain   Operation = "change_domain"
	OpList           Operation = "list"
	OpRegister       Operation = "register"
	OpVerify         Operation = "verify_domain"
	OpReplace        Operation = "replace"
	OpPatch          Operation = "patch"
	OpToken          Operation = "token"
	OpUnknown        Operation = "unknown" // a path or a method that the partner does not have
)

// The scopes that the partner's operations ask for.
const (
	scopeWrite = "partner"
	scopeRead  = "partner.read"
)

// route is an operation's place in the API.
type route struct {
	op     Operation
	method string
	path   string // below /v1.0/partners; {id} is a domain id
	reads  bool   // partner.read is enough
	handle func(*Simulator, *request) answer
}

func apiRoutes() []route {
	return []route{
		{OpVerify, http.MethodPost, "/customers/verify-domain", false, (*Simulator).verifyDomain},
		{OpRegister, http.MethodPost, "/customers", false, (*Simulator).register},
		{OpList, http.MethodGet, "/customers", true, (*Simulator).list},
		{OpCustomer, http.MethodGet, "/customers/{id}", true, (*Simulator).lookup},
		{OpReplace, http.MethodPut, "/customers/{id}", false, (*Simulator).modify},
		{OpPatch, http.MethodPatch, "/customers/{id}", false, (*Simulator).modify},
		{OpUpgradeDomain, http.MethodGet, "/customers/{id}/upgrade-domain", true, (*Simulator).upgradeDomain},
		{OpRequestUpgrade, http.MethodPost, "/customers/{id}/upgrade-domain", false, (*Simulator).requestUpgrade},
		{OpActivate, http.MethodPost, "/customers/{id}/activate", false, (*Simulator).activate},
		{OpChangeDomain, http.MethodPost, "/customers/{id}/change-domain", false, (*Simulator).changeDomain},
	}
}

// request is an API request on its way through the simulator.
type request struct {
	*http.Request
	route
	id   int64 // domain id of the path, else 0
	body []byte
	call int // its number in the journal
	plan *plan
	rate rate
	draw *rand.Rand // for what a fault leaves to chance
}

// match finds the operation. Without one, refused says why: the partner knows its paths to the letter.
func (s *Simulator) match(r *http.Request) (route, int64, *answer) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), APIPath+"/partners")
	known := false
	for _, candidate := range s.routes {
		id, fits := fit(candidate.path, path)
		if !ok || !fits {
			continue
		}
		if candidate.method == r.Method {
			return candidate, id, nil
		}
		known = true
	}
	refused := described(http.StatusNotFound, "NOT_FOUND", "Api not exists", FormCoded)
	if known {
		refused = failure(http.StatusMethodNotAllowed, "", FormCoded)
	}
	return route{op: OpUnknown}, 0, &refused
}

// fit compares a path with a pattern and returns the domain id in it.
func fit(pattern, path string) (id int64, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return 0, false
	}
	for i := range want {
		if want[i] != "{id}" {
			if want[i] != got[i] {
				return 0, false
			}
			continue
		}
		n, err := strconv.ParseInt(got[i], 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != got[i] {
			return 0, false
		}
		id = n
	}
	return id, true
}

// serveAPI answers one request to the API host.
func (s *Simulator) serveAPI(w http.ResponseWriter, r *http.Request) {
	matched, id, refused := s.match(r)
	if refused == nil {
		refused = s.authorize(r, matched)
	}
	req := &request{Request: r, route: matched, id: id}
	if late := s.admit(req, refused == nil); late != nil {
		refused = late
	}
	defer func() {
		s.log.Debug("partner request answered", zap.String("operation", string(req.op)), zap.Int64("domain_id", req.id),
			zap.Int("status", s.ended(req).Status), zap.String("fault", req.plan.text))
	}()
	if refused != nil {
		req.plan = &plan{}
		s.send(w, req, *refused)
		return
	}
	s.perform(w, req)
}

// admit notes the arrival, takes the next fault, and counts the request against the limits; the answer is nil if it may go on.
// A fault is used up only by a request that would otherwise be carried out.
func (s *Simulator) admit(req *request, allowed bool) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.quota.underWay++
	req.plan, req.draw = &plan{}, nil
	req.call = s.journal.begin(Call{At: now, Op: req.op, DomainID: req.id, BodyBytes: int(max(0, req.ContentLength))}, s.quota.underWay)
	if !allowed {
		return nil
	}
	if s.quota.atOnce > 0 && s.quota.underWay > s.quota.atOnce {
		a := failure(http.StatusTooManyRequests, "", FormCoded)
		return &a
	}
	next := s.script.peek(req.op, req.id)
	if next.plan.quota != nil {
		next.plan.quota(&s.quota, req.op, now)
	}
	var within bool
	if req.rate, within = s.quota.take(req.op, now, s.opts.Unknown.RefusedUncounted); !within && next.plan.quota == nil {
		a := failure(http.StatusTooManyRequests, "", FormCoded)
		return &a
	}
	s.script.use(req.op, req.id, next)
	req.plan, req.draw = next.plan, next.draw
	s.journal.at(req.call).Fault = next.plan.text
	if !within {
		a := failure(http.StatusTooManyRequests, "", FormCoded)
		return &a
	}
	return nil
}

// ended returns the journal's entry of a request.
func (s *Simulator) ended(req *request) Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.journal.at(req.call)
}

// URLs returns the settings of a client that is to talk to a simulator served at base, such as http://127.0.0.1:8090.
func URLs(base string) (api, token string) {
	return strings.TrimSuffix(base, "/") + APIPath, strings.TrimSuffix(base, "/") + TokenPath
}

// absolute is the address at which the request was made.
func absolute(r *http.Request) url.URL {
	u := *r.URL
	u.Scheme, u.Host = "http", r.Host
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return u
}

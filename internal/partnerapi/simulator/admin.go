package simulator

import (
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
)

// serveAdmin lets a person at the same machine look into the simulator and steer it:
//
//	GET  /simulator/journal     calls, counts and breaches
//	POST /simulator/customers   customers as [DecodeCustomers] reads them
//	POST /simulator/state       {"domainId":7,"terms":true,"dns":true,"active":false}; what is left out stays as it is
//	POST /simulator/script      {"domainId":7,"operation":"activate","faults":["lost"]}; "operation":"token" for tokens
//
// Callers from elsewhere are refused, and so are web pages: the name they reached us by has to be a loopback one, and what
// they send has to be declared as JSON, which a page of another origin cannot do.
func (s *Simulator) serveAdmin(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !loopback(r.RemoteAddr) || !loopback(r.Host):
		reply(w, http.StatusForbidden, "only for callers on the same machine")
	case r.Method == http.MethodPost && kind != "application/json":
		reply(w, http.StatusUnsupportedMediaType, "send Content-Type: application/json")
	case r.Method == http.MethodGet && r.URL.Path == AdminPath+"journal":
		j := s.Journal()
		reply(w, http.StatusOK, struct {
			Journal
			Breaches []string `json:"breaches"`
		}{j, j.Check()})
	case r.Method == http.MethodPost && r.URL.Path == AdminPath+"customers":
		added, err := DecodeCustomers(http.MaxBytesReader(w, r.Body, 16<<20))
		if err != nil {
			reply(w, http.StatusBadRequest, err.Error())
			return
		}
		for _, c := range added {
			s.Add(c)
		}
		reply(w, http.StatusOK, fmt.Sprintf("added %d", len(added)))
	case r.Method == http.MethodPost && r.URL.Path == AdminPath+"script":
		if err := s.scriptFrom(r); err != nil {
			reply(w, http.StatusBadRequest, err.Error())
			return
		}
		reply(w, http.StatusOK, "set")
	case r.Method == http.MethodPost && r.URL.Path == AdminPath+"state":
		if err := s.stateFrom(r); err != nil {
			reply(w, http.StatusBadRequest, err.Error())
			return
		}
		reply(w, http.StatusOK, "set")
	default:
		reply(w, http.StatusNotFound, "there are GET journal, POST customers, POST state and POST script")
	}
}

// scriptFrom reads and sets a script.
func (s *Simulator) scriptFrom(r *http.Request) error {
	var in struct {
		DomainID  int64    `json:"domainId"`
		Operation string   `json:"operation"`
		Faults    []string `json:"faults"`
	}
	if err := decodeStrictly(r, &in); err != nil {
		return fmt.Errorf("read a script: %w", err)
	}
	op, err := ParseOperation(in.Operation)
	if err != nil {
		return fmt.Errorf("read a script: %w", err)
	}
	faults := make([]Fault, 0, len(in.Faults))
	for _, text := range in.Faults {
		f, err := ParseFault(text)
		if err != nil {
			return fmt.Errorf("read a script: %w", err)
		}
		faults = append(faults, f)
	}
	s.Script(in.DomainID, op, faults...)
	return nil
}

// stateFrom reads what is to change about one customer, and changes it.
func (s *Simulator) stateFrom(r *http.Request) error {
	var in struct {
		DomainID int64 `json:"domainId"`
		Terms    *bool `json:"terms"`
		DNS      *bool `json:"dns"`
		Active   *bool `json:"active"`
	}
	if err := decodeStrictly(r, &in); err != nil {
		return fmt.Errorf("read a state: %w", err)
	}
	s.meet(in.DomainID)
	if _, ok := s.Customer(in.DomainID); !ok {
		return fmt.Errorf("read a state: there is no customer %d", in.DomainID)
	}
	changes := 0
	for _, part := range []struct {
		value *bool
		set   func(int64, bool)
	}{{in.Terms, s.SetTerms}, {in.DNS, s.SetDNS}, {in.Active, s.SetActive}} {
		if part.value != nil {
			part.set(in.DomainID, *part.value)
			changes++
		}
	}
	if changes == 0 {
		return fmt.Errorf("read a state: want terms, dns or active of customer %d", in.DomainID)
	}
	return nil
}

// decodeStrictly reads one JSON value whose members are all known.
func decodeStrictly(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// loopback tells whether a host, with a port or without, is this machine by address or by the name localhost.
func loopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func reply(w http.ResponseWriter, status int, value any) {
	if text, ok := value.(string); ok {
		value = map[string]string{"message": text}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // the caller has gone
}

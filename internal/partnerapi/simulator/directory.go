package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Add registers a customer, or replaces the one with its domain id.
func (s *Simulator) Add(c Customer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, replaced := s.customers[c.DomainID]; replaced || s.gone[c.DomainID] {
		s.journal.byHand(c.DomainID)
	}
	s.add(c)
}

func (s *Simulator) add(c Customer) *customer {
	stored := &customer{Customer: invented(c), added: s.now()}
	s.customers[c.DomainID] = stored
	s.nextID = max(s.nextID, c.DomainID+1)
	s.journal.personal = append(s.journal.personal, stored.Administrator.PrivateEmail, stored.Administrator.Cellphone)
	return stored
}

// Customer returns a customer as it truly is, and whether there is one.
func (s *Simulator) Customer(domainID int64) (Customer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.customers[domainID]
	if !ok {
		return Customer{}, false
	}
	state := c.Customer
	state.Terms, state.DNS = c.termsDone(s.now()), c.dnsDone(s.now())
	return state, true
}

// SetTerms says whether the customer has accepted the terms of service. Without such a customer it does nothing, and so with
// the next three.
func (s *Simulator) SetTerms(domainID int64, accepted bool) {
	s.change(domainID, func(c *customer) { c.Terms, c.accepted = accepted, true })
}

// SetDNS says whether an ownership record is visible to the partner.
func (s *Simulator) SetDNS(domainID int64, visible bool) {
	s.change(domainID, func(c *customer) { c.DNS, c.resolved = visible, true })
}

// SetActive activates a customer as if someone else had done it, or undoes an activation. [Journal.Check] judges an undone one afresh.
func (s *Simulator) SetActive(domainID int64, active bool) {
	s.change(domainID, func(c *customer) {
		c.Active = active
		if !active {
			s.journal.byHand(domainID)
		}
	})
}

// Remove deletes a customer.
func (s *Simulator) Remove(domainID int64) {
	s.change(domainID, func(*customer) { s.remove(domainID) })
}

func (s *Simulator) remove(domainID int64) {
	delete(s.customers, domainID)
	s.gone[domainID] = true
	s.journal.byHand(domainID)
}

// Forget drops all that is known of a customer who is of no more interest, but for the calls that the journal still keeps, so that a
// simulator can run for long. It is as if there had never been one.
func (s *Simulator) Forget(domainID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.customers[domainID]; ok {
		private := []string{c.Administrator.PrivateEmail, c.Administrator.Cellphone}
		s.journal.personal = slices.DeleteFunc(s.journal.personal, func(data string) bool { return slices.Contains(private, data) })
	}
	delete(s.customers, domainID)
	delete(s.gone, domainID)
	delete(s.journal.Customers, domainID)
	s.journal.hands = slices.DeleteFunc(s.journal.hands, func(m handMark) bool { return m.id == domainID })
	s.script.forget(domainID)
}

func (s *Simulator) change(domainID int64, how func(*customer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.customers[domainID]; ok {
		how(c)
	}
}

// find returns a customer, under the lock. With [Options.Auto] there is one for any positive id, unless it has been
// deleted.
func (s *Simulator) find(domainID int64) (*customer, bool) {
	c, ok := s.customers[domainID]
	if !ok && s.opts.Auto && domainID > 0 && !s.gone[domainID] {
		return s.add(Customer{DomainID: domainID, Terms: true, DNS: true}), true
	}
	return c, ok
}

// meet makes sure that a customer whom [Options.Auto] would create is there.
func (s *Simulator) meet(domainID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.find(domainID)
}

// byDomain returns the customers in the order of their domain names.
func (s *Simulator) byDomain() []*customer {
	all := make([]*customer, 0, len(s.customers))
	for _, c := range s.customers {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *customer) int { return strings.Compare(a.Domain, b.Domain) })
	return all
}

// written is a customer as JSON has it: with delays as text.
type written struct {
	Customer
	TermsAfter delay `json:"termsAfter"`
	DNSAfter   delay `json:"dnsAfter"`
}

// delay reads a duration such as "30s".
type delay time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *delay) UnmarshalText(text []byte) error {
	value, err := time.ParseDuration(string(text))
	if err != nil || value < 0 {
		return fmt.Errorf("delay %q: want a duration such as 30s", text)
	}
	*d = delay(value)
	return nil
}

// DecodeCustomers reads customers as JSON: one array, or objects one after the other. Unknown members and words, and ids
// below 1, are errors.
func DecodeCustomers(r io.Reader) ([]Customer, error) {
	var all []Customer
	for d := json.NewDecoder(r); ; {
		var raw json.RawMessage
		if err := d.Decode(&raw); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read customers: after %d of them: %w", len(all), err)
		}
		some := make([]written, 1)
		var into any = &some[0]
		if bytes.HasPrefix(raw, []byte("[")) {
			into = &some
		}
		strict := json.NewDecoder(bytes.NewReader(raw))
		strict.DisallowUnknownFields()
		if err := strict.Decode(into); err != nil {
			return nil, fmt.Errorf("read customers: after %d of them: %w", len(all), err)
		}
		for _, one := range some {
			c := one.Customer
			if c.DomainID < 1 {
				return nil, fmt.Errorf("read customers: after %d of them: domainId is %d, want a positive number", len(all), c.DomainID)
			}
			if !slices.Contains([]string{DNSBoth, DNSTXT, DNSCNAME, DNSWrong, DNSNone}, c.DNSRecords) {
				return nil, fmt.Errorf("read customers: after %d of them: dnsRecords is %q, want txt, cname, wrong, none or nothing for both", len(all), c.DNSRecords)
			}
			c.TermsAfter, c.DNSAfter = time.Duration(one.TermsAfter), time.Duration(one.DNSAfter)
			all = append(all, c)
		}
	}
}

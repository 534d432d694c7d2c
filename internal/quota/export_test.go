package quota

// Places is how many places of simultaneous requests are in use.
func (p *Pacer) Places() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy
}

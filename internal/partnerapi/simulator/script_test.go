package simulator_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"

	"activation-worker/internal/partnerapi/simulator"
)

func TestScriptOrderAndPlace(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.Script(0, "", "504*")
	p.Script(0, simulator.OpActivate, "503*2")
	p.Script(7, "", "409*")
	p.Script(7, simulator.OpActivate, "500", "502")
	for _, want := range []int{500, 502, 409, 409} {
		p.activate().has(t, want)
	}
	p.lookup().has(t, 409)
	p.Script(7, "")
	for _, want := range []int{503, 503, 504, 504} {
		p.activate().has(t, want)
	}
	p.Script(0, "")
	p.activate().has(t, 200)
}

// TestScriptWaitsForItsRequest: a refused request does not use a fault up.
func TestScriptWaitsForItsRequest(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.RatePerMinute = 1000 })
	p.lookup().has(t, 200)
	p.Script(7, simulator.OpActivate, "502")
	good := p.token
	p.token = "nonsense"
	p.activate().has(t, 401)
	p.token = good
	p.SetRate(1)
	p.Script(7, simulator.OpCustomer, "503")
	p.lookup().has(t, 429)
	p.SetRate(0)
	p.lookup().has(t, 503)
	p.activate().has(t, 502)
	p.activate().has(t, 200)
}

// TestMixRepeats sends the same requests in another order, many at once, and meets the same faults.
func TestMixRepeats(t *testing.T) {
	t.Parallel()
	const customers, times = 40, 5
	run := func(seed uint64, workers int) map[string]string {
		p := start(t, func(o *simulator.Options) { o.Seed, o.Auto = seed, true })
		p.token = p.fetch(p.form(p.claims(), "partner")).token(t)
		p.SetMix(0.3, "500", "activate@502", "customer@503", "lag=1s")
		ids := make(chan int, customers)
		for i := range customers {
			ids <- i + 1
		}
		close(ids)
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for id := range ids {
					for range times {
						p.call("POST", fmt.Sprintf("/customers/%d/activate", id), "")
						p.call("GET", fmt.Sprintf("/customers/%d", id), "")
					}
				}
			})
		}
		wg.Wait()
		met, nth := map[string]string{}, map[string]int{}
		for _, c := range p.Journal().Calls {
			key := fmt.Sprint(c.Op, c.DomainID)
			nth[key]++
			met[fmt.Sprint(key, "/", nth[key])] = c.Fault
		}
		return met
	}
	one, other, differs := run(1, 1), run(1, 8), run(2, 1)
	if !maps.Equal(one, other) {
		t.Error("the same seed gave other faults")
	}
	if maps.Equal(one, differs) {
		t.Error("another seed gave the same faults")
	}
	hit := map[string]int{}
	for key, fault := range one {
		hit[fault]++
		if key[:1] == "a" && fault == "customer@503" || key[:1] == "c" && (fault == "activate@502" || fault == "lag=1s") {
			t.Errorf("%s met %s", key, fault)
		}
	}
	if share := float64(len(one)-hit[""]) / float64(len(one)); share < 0.2 || share > 0.4 || len(hit) != 5 {
		t.Errorf("a share of %.2f met faults, want about 0.3: %v", share, hit)
	}
}

func TestMixOfTokens(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.SetMix(1, "lost", "token@503")
	p.fetch(p.form(p.claims(), "partner")).has(t, 503)
	p.SetMix(0, "token@503")
	p.fetch(p.form(p.claims(), "partner")).has(t, 200)
}

// TestEverythingWicked only has to come through it: no hang, no crash, counts that add up.
func TestEverythingWicked(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Auto, o.RatePerMinute, o.MaxConcurrent = true, 10_000, 5 })
	p.token = p.fetch(p.form(p.claims(), "partner")).token(t)
	var mix []simulator.Fault
	for _, f := range simulator.WickedMix() {
		if f != simulator.Revoked && f != "slow=0s-1s" {
			mix = append(mix, f)
		}
	}
	p.SetMix(1, mix...)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 50 {
				p.call("POST", fmt.Sprintf("/customers/%d/activate", worker*1000+i+1), "")
			}
		})
	}
	wg.Wait()
	j := p.Journal()
	applied := 0
	for id, counts := range j.Customers {
		applied += counts.Applied
		if c, _ := p.Customer(id); counts.Applied == 1 && !c.Active {
			t.Errorf("customer %d: applied and not active", id)
		}
	}
	if len(j.Calls) != 200 || applied < 20 || j.MaxConcurrent > 5 {
		t.Errorf("%d calls, %d applied, %d at once", len(j.Calls), applied, j.MaxConcurrent)
	}
	if breaches := j.Check(); breaches != nil {
		t.Errorf("one activate for each customer breaches nothing, got %v", breaches)
	}
}

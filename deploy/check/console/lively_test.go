package console

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// lively lets customers come as on a good day, most of them without trouble, for a while; at first 12 at once. It returns how many came.
func (s *site) lively(lasts time.Duration) int {
	s.t.Helper()
	draw := rand.New(rand.NewPCG(8, 8))
	count := 0
	for ; count < 12; count++ {
		s.comes(count, draw)
	}
	end := time.NewTimer(lasts)
	defer end.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-end.C:
			return count
		case <-next.C:
			s.comes(count, draw)
			count++
			// Waves of some minutes: a graph of always the same shows nothing.
			busy := 1 + 0.8*wave(time.Now())
			next.Reset(time.Duration(draw.ExpFloat64() * float64(3*time.Second) / busy))
		}
	}
}

// wave goes from -1 to 1 and back in four minutes.
func wave(at time.Time) float64 {
	part := float64(at.Unix()%240) / 120
	if part > 1 {
		part = 2 - part
	}
	return 2*part - 1
}

// comes lets the n-th customer come, with a fate of its own.
func (s *site) comes(n int, draw *rand.Rand) {
	s.t.Helper()
	names := []string{"hinode-foods", "aoba-print", "kogane-dental", "minato-works", "yukimichi", "mitsuba-design", "tsukimi-tea", "sakura-logi"}
	id := 51_200_001 + n
	domain := fmt.Sprintf("%s-%d.example", names[n%len(names)], 100+n/len(names))
	fate := draw.IntN(20)
	switch {
	case n == 3 || fate < 3:
		s.customer(`{"domainId":%d,"domain":%q,"terms":true,"dnsAfter":"%ds"}`, id, domain, 120+draw.IntN(3600))
	case fate == 3:
		s.customer(`{"domainId":%d,"domain":%q,"dns":true,"termsAfter":"%ds"}`, id, domain, 60+draw.IntN(600))
	default:
		s.customer(`{"domainId":%d,"domain":%q,"terms":true,"dns":true}`, id, domain)
		if faults := map[int]string{4: `"409:CONTRACT_ENDED*"`, 5: `"slow=3s"`, 6: `"lost"`, 7: `"429:reset=9"`}[fate]; faults != "" {
			s.tell("script", fmt.Sprintf(`{"domainId":%d,"operation":"activate","faults":[%s]}`, id, faults))
		}
	}
	s.command("submit", fmt.Sprint(id), "--domain", domain, "--reference", fmt.Sprintf("order-%05d", 4000+n))
}

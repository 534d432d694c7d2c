package quota_test

import (
	"testing"
	"time"

	"activation-worker/internal/quota"
)

// BenchmarkAcquire is leave that nobody else wants, taken and ended.
func BenchmarkAcquire(b *testing.B) {
	for name, o := range map[string]quota.Limits{
		"limits":    {Peak: quota.Rate{N: 240, Per: time.Minute}, Sustained: quota.Rate{N: 120, Per: time.Minute}, Concurrency: 3},
		"no limits": {Concurrency: 3},
	} {
		b.Run(name, func(b *testing.B) {
			p := newPacer(b, o)
			b.ReportAllocs()
			for b.Loop() {
				permit, err := p.Acquire(b.Context(), quota.Fresh, activate)
				if err != nil {
					b.Fatal(err)
				}
				if o.Peak.N == 0 {
					permit.Begin() // with limits all are given back, or soon there would be none
				}
				permit.End()
			}
		})
	}
}

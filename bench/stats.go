package main

import (
	"cmp"
	"slices"
	"time"
)

// median of values, of two in the middle the lower; zero for none.
func median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// medianOf is the median of what each run says.
func medianOf[T cmp.Ordered](runs []result, says func(result) T) T {
	var all []T
	for _, r := range runs {
		all = append(all, says(r))
	}
	return median(all)
}

// ratio is the median of the ratios of runs that were made in the same round: what else the machine does changes from round to round
// and weighs on both.
func ratio(of, against []result, says func(result) float64) float64 {
	var all []float64
	for i := range min(len(of), len(against)) {
		if base := says(against[i]); base > 0 {
			all = append(all, says(of[i])/base)
		}
	}
	return median(all)
}

func perSecondOf(r result) float64 { return r.perSecond }
func cpuOf(r result) float64       { return float64(r.cpu) }
func p50Of(r result) time.Duration { return quantile(r.took, 0.50) }
func p99Of(r result) time.Duration { return quantile(r.took, 0.99) }

// quantile of sorted values; zero for none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(float64(len(sorted))*q))]
}

//go:build !faults

package faults

import "time"

// Before is passed just before a step.
func Before(Step) {}

// After is passed just after a step that was carried out.
func After(Step) {}

// Now is the worker's clock.
func Now() time.Time { return time.Now() }

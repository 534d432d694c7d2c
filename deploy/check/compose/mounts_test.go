package compose

import "testing"

// TestMounts: each file that is mounted is there, and one that is not would be seen.
func TestMounts(t *testing.T) {
	t.Parallel()
	p, err := shipped(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range missing(p) {
		t.Error(fault)
	}
	p, err = shipped(t, "./prometheus.yml:", "./prometheus.yaml:")
	if err != nil {
		t.Fatal(err)
	}
	if len(missing(p)) == 0 {
		t.Error("a file that is mounted and not there is not seen")
	}
}

package main
import ("testing";"activation-worker/internal/partnerapi/simulator")
func dbg(t *testing.T, j simulator.Journal){ m:=map[string]int{}; s:=map[int]int{}; for _,c:=range j.Calls{m[c.Fault]++; if c.Fault==""{s[c.Status]++}}; t.Log(m,s)}

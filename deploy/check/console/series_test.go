package console

import "time"

// series are values over time.
type series struct {
	at     []float64 // seconds since the first
	values []float64
	began  time.Time
}

func (s *series) add(at time.Time, value float64) {
	if len(s.values) == 0 {
		s.began = at
	}
	s.at, s.values = append(s.at, at.Sub(s.began).Seconds()), append(s.values, value)
}

func (s *series) first() float64 { return s.values[0] }
func (s *series) last() float64  { return s.values[len(s.values)-1] }

// grows is by how much the straight line that lies closest to the values rises in their time, the first third left out: caches fill.
func (s *series) grows() float64 {
	from := len(s.values) / 3
	at, values := s.at[from:], s.values[from:]
	var meanAt, mean float64
	for i := range at {
		meanAt, mean = meanAt+at[i]/float64(len(at)), mean+values[i]/float64(len(at))
	}
	var over, under float64
	for i := range at {
		over, under = over+(at[i]-meanAt)*(values[i]-mean), under+(at[i]-meanAt)*(at[i]-meanAt)
	}
	if under == 0 {
		return 0
	}
	return over / under * (at[len(at)-1] - at[0])
}

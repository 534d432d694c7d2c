package quota_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

func look(t *testing.T, store quota.Store, limits quota.Limits) quota.Outlook {
	t.Helper()
	o, err := quota.Look(t.Context(), store, limits)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// What is foreseen comes to pass: whoever sends as soon as they may has leave when the outlook said, also after a pause
// and where the partner's own count is the stricter one.
func TestOutlookForeseesLeave(t *testing.T) {
	for name, tt := range map[string]struct {
		limits quota.Limits
		lane   quota.Lane
		before int // requests already sent, half a second apart
		after  func(*quota.Pacer)
		n      int
	}{
		"peak":                  {quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 20, Per: time.Minute}}, quota.Fresh, 13, nil, 130},
		"peak and sustained":    {quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 40, Per: time.Minute}, Sustained: quota.Rate{N: 10, Per: time.Minute}}, quota.Fresh, 70, nil, 900},
		"the lane of the rest":  {quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 40, Per: time.Minute}, Sustained: quota.Rate{N: 10, Per: time.Minute}}, quota.Replay, 0, nil, 700},
		"after a pause":         {quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 60, Per: time.Minute}}, quota.Fresh, 5, func(p *quota.Pacer) { p.Pause(activate, time.Now().Add(20*time.Second)) }, 150},
		"by the partner's word": {quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 60, Per: time.Minute}}, quota.Fresh, 5, func(p *quota.Pacer) { p.Answered(activate, 4, 50*time.Second) }, 100},
		"without limits":        {quota.Limits{Concurrency: 3}, quota.Fresh, 5, nil, 100},
		"others' operation":     {quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 60, Per: time.Minute}}, quota.Fresh, 0, func(p *quota.Pacer) { p.Pause(lookUp, time.Now().Add(time.Hour)) }, 10},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				store := &quotatest.Memory{}
				store.SetClock(time.Hour)
				p := join(t, store, tt.limits)
				for range tt.before {
					request(t, p, activate)
					rest(t.Context(), 500*time.Millisecond)
				}
				if tt.after != nil {
					tt.after(p)
				}
				request(t, p, lookUp) // so that all of it is written down
				rest(t.Context(), time.Second)
				written := store.Updates()
				o := look(t, store, tt.limits)
				began := time.Now()
				if store.Updates() != written {
					t.Error("who only looks has written")
				}
				for n := 1; n <= tt.n; n++ {
					permit, err := p.Acquire(t.Context(), tt.lane, activate)
					if err != nil {
						t.Fatal(err)
					}
					permit.Begin()
					permit.End()
					if n > 50 && n%7 > 0 {
						continue
					}
					got, want := o.When(activate, tt.lane, n), time.Since(began)
					if off := (got - want).Abs(); off > time.Second+want/100 {
						t.Fatalf("request %d was foreseen in %s and had leave in %s", n, got, want)
					}
				}
			})
		})
	}
}

// Far ahead, the pace is what counts, and it costs next to nothing to foresee.
func TestOutlookFarAhead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		limits := quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 240, Per: time.Minute}, Sustained: quota.Rate{N: 120, Per: time.Minute}}
		o := look(t, &quotatest.Memory{}, limits)
		for _, n := range []int{3600, 3601, 20_000, 100_000} {
			got, want := o.When(activate, quota.Fresh, n), time.Duration((n-1)/3600)*30*time.Minute
			if got < want || got > want+want/100+time.Duration((n-1)%3600/240+1)*time.Minute {
				t.Errorf("the %d. is in %s, want about %s", n, got, want)
			}
		}
	})
}

func TestOutlookTellsWhatIsUsedHeldAndWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		limits := quota.Limits{Concurrency: 2, Peak: quota.Rate{N: 10, Per: time.Minute}, Sustained: quota.Rate{N: 5, Per: time.Minute}}
		a, b := join(t, store, limits), join(t, store, limits)
		if o := look(t, store, limits); len(o.Uses()) != 0 || len(o.Waiting(activate)) != 0 || o.Busy() {
			t.Errorf("before anybody came: %+v, %v", o.Uses(), o.Waiting(activate))
		}
		for range 3 {
			request(t, a, activate)
		}
		rest(t.Context(), 2*time.Minute) // out of the minute, in the half hour
		request(t, a, activate)
		held := acquire(t, a, activate)
		defer held.End()
		other := acquire(t, b, lookUp)
		defer other.End()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for i := range 5 {
			go func() {
				p := []*quota.Pacer{a, b}[i%2]
				lane := []quota.Lane{quota.Fresh, quota.Waiting, quota.Fresh, quota.Replay, quota.Fresh}[i]
				if permit, err := p.Acquire(ctx, lane, activate); err == nil {
					permit.End()
				}
			}()
		}
		b.Pause(lookUp, time.Now().Add(time.Minute))
		rest(t.Context(), time.Second)
		o := look(t, store, limits)
		uses := o.Uses()
		for i := range uses {
			uses[i].Paused = uses[i].Paused.Round(time.Second)
		}
		want := []quota.Use{{Operation: activate, Peak: 2, Sustained: 5, Left: -1}, {Operation: lookUp, Peak: 1, Sustained: 1, Left: -1, Paused: 59 * time.Second}}
		if !reflect.DeepEqual(uses, want) {
			t.Errorf("uses are %+v, want %+v", uses, want)
		}
		if places, replicas := o.Places(); places != 2 || replicas != 2 {
			t.Errorf("%d places at %d replicas", places, replicas)
		}
		if got, want := o.Waiting(activate), (quota.Queue{quota.Fresh: 3, quota.Waiting: 1, quota.Replay: 1}); !reflect.DeepEqual(got, want) {
			t.Errorf("%v wait, want %v", got, want)
		}
		if !o.Busy() {
			t.Error("nobody is busy")
		}
		if got := o.Waiting(lookUp); len(got) != 0 {
			t.Errorf("%v wait for a look-up", got)
		}
	})
}

// What replicas have under way takes room as if it ended now; what a dead one had, as if it ended with its lease.
func TestOutlookCountsWhatIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		limits := quota.Limits{Concurrency: 9, Peak: quota.Rate{N: 5, Per: time.Minute}}
		for until, want := range map[time.Duration][2]time.Duration{
			time.Second:       {0, time.Minute}, // of the second, and of the fifth
			-30 * time.Second: {0, 30 * time.Second},
			-70 * time.Second: {0, 0},
		} {
			store := &quotatest.Memory{}
			store.Put(fmt.Appendf(nil, `{"version":1,"operations":{},"replicas":{"w":{"until":%d,"places":3,"open":{"activate":3}}}}`, time.Now().Add(until).UnixMicro()))
			o := look(t, store, limits)
			for i, n := range []int{2, 5} {
				if got := o.When(activate, quota.Fresh, n); (got - want[i]).Abs() > time.Second {
					t.Errorf("held until %s: the %d. is in %s, want %s", until, n, got, want[i])
				}
			}
			if held, _ := o.Places(); held > 0 != (until > 0) {
				t.Errorf("held until %s: %d places", until, held)
			}
		}
	})
}

func TestLookAtWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	away := errors.New("nobody answers")
	for name, tt := range map[string]struct {
		data string
		ask  error
		want string
	}{
		"a newer worker's": {data: `{"version":99}`, want: "newer worker"},
		"nothing sane":     {data: `{"replicas":{"a":null}}`, want: "replica"},
		"no answer":        {ask: away, want: "read the shared quota: nobody answers"},
	} {
		store := &quotatest.Memory{Ask: func(context.Context, string) error { return tt.ask }}
		store.Put([]byte(tt.data))
		_, err := quota.Look(t.Context(), store, quota.Limits{Concurrency: 1})
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, quota.ErrNewer) != strings.Contains(name, "newer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The turn of whoever is last in a lane is about when the pacer would give it.
func TestTurn(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		lane   quota.Lane
		before quota.Queue
		want   int
	}{
		"nobody before":                             {quota.Fresh, nil, 1},
		"fresh ones before":                         {quota.Fresh, quota.Queue{quota.Fresh: 3}, 4},
		"a running step goes before":                {quota.Fresh, quota.Queue{quota.Running: 2}, 3},
		"every fifth leave is the waiting ones'":    {quota.Fresh, quota.Queue{quota.Fresh: 7, quota.Waiting: 100}, 10},
		"who waits stands behind four fresh each":   {quota.Waiting, quota.Queue{quota.Fresh: 100, quota.Waiting: 1}, 10},
		"and behind no more than there are":         {quota.Waiting, quota.Queue{quota.Fresh: 3, quota.Waiting: 9}, 13},
		"replays take what is left":                 {quota.Replay, quota.Queue{quota.Fresh: 5, quota.Waiting: 5, quota.Replay: 2}, 13},
		"but no more than sixteen go before each":   {quota.Replay, quota.Queue{quota.Fresh: 1000, quota.Waiting: 1000}, 17},
		"few replays go before one who is due then": {quota.Waiting, quota.Queue{quota.Waiting: 31, quota.Replay: 500}, 34},
	} {
		if got := quota.Turn(c.lane, c.before); got != c.want {
			t.Errorf("%s: %d, want %d", sentence, got, c.want)
		}
	}
}

// Later ones never have leave earlier, nor does anybody have it in the past.
func TestOutlookIsInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now().UnixMicro()
		store := &quotatest.Memory{}
		store.Put([]byte(fmt.Sprintf(
			`{"version":1,"operations":{"activate":{"windows":[{"micros":60002000,"ends":[%d,%d,%d,%d]}],"pausedUntil":%d,"gentleUntil":%d,"latest":%d,"credit":{"left":%d,"until":%d}}},"replicas":{"w":{"until":%d,"open":{"activate":%d}}}}`,
			now-rapid.Int64Range(0, 80e6).Draw(t, "first"), rapid.IntRange(1, 9).Draw(t, "n"), rapid.Int64Range(0, 30e6).Draw(t, "second"), rapid.IntRange(1, 9).Draw(t, "m"),
			now+rapid.Int64Range(-9e6, 90e6).Draw(t, "pause"), now+rapid.Int64Range(-9e6, 99e6).Draw(t, "gentle"), now-rapid.Int64Range(0, 9e6).Draw(t, "latest"),
			rapid.IntRange(-2, 9).Draw(t, "credit"), now+rapid.Int64Range(-9e6, 90e6).Draw(t, "until"), now+9e6, rapid.IntRange(0, 5).Draw(t, "open"))))
		o, err := quota.Look(context.Background(), store, quota.Limits{Concurrency: 1, Peak: quota.Rate{N: rapid.IntRange(0, 12).Draw(t, "peak"), Per: time.Minute}, Sustained: quota.Rate{N: 5, Per: time.Minute}})
		if err != nil {
			t.Fatal(err)
		}
		lane, last := quota.Lane(rapid.IntRange(0, 3).Draw(t, "lane")), time.Duration(0)
		for n := 1; n < 400; n += 7 {
			in := o.When("activate", lane, n)
			if in < last {
				t.Fatalf("the %d. has leave in %s, and an earlier one in %s", n, in, last)
			}
			last = in
		}
	})
}

// BenchmarkOutlook foresees when a backlog will have had its turn.
func BenchmarkOutlook(b *testing.B) {
	limits := quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 240, Per: time.Minute}, Sustained: quota.Rate{N: 120, Per: time.Minute}}
	store := &quotatest.Memory{}
	now := time.Now().UnixMicro()
	var ends strings.Builder
	fmt.Fprintf(&ends, "%d,1", now-1790e6) // one in each step, the worst case
	for range 248 {
		ends.WriteString(",7200008,14")
	}
	store.Put([]byte(`{"version":1,"operations":{"activate":{"windows":[{"micros":1800002000,"ends":[` + ends.String() + `]}]}},"replicas":{}}`))
	o, err := quota.Look(b.Context(), store, limits)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o.When("activate", quota.Waiting, n)
			}
		})
	}
}

package repeats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is what was written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}

// logger sums up into an output.
func logger() (*zap.Logger, *output) {
	b := &output{}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg", NameKey: "logger"}), zapcore.AddSync(b), zap.InfoLevel)
	return zap.New(Wrap(core)), b
}

// lines are what was written since the last look: message, and how often it was repeated.
func lines(t *testing.T, b *output) (all []string) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		said := fmt.Sprint(l["msg"])
		if n, summed := l[FieldRepeated]; summed {
			said += fmt.Sprintf(" ×%v", n)
		}
		all = append(all, said)
	}
	b.Reset()
	return all
}

func want(t *testing.T, b *output, want ...string) {
	t.Helper()
	if got := lines(t, b); !slices.Equal(got, want) {
		t.Errorf("wrote %q, wanted %q", got, want)
	}
}

func TestFirstAtOnceTheOthersSummedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := logger()
		for i := range 1000 {
			log.Warn("cannot", zap.Error(fmt.Errorf("dial 127.0.0.1:%d: refused", i)), zap.Int("try", i))
		}
		want(t, b, "cannot")
		pass(Window - 1)
		want(t, b)
		pass(1)
		if text := b.String(); !strings.Contains(text, `"try":999`) || !strings.Contains(text, ":999: refused") {
			t.Errorf("the last is not shown: %s", text)
		}
		want(t, b, "cannot ×999")
		// It goes on: still no line of its own.
		log.Warn("cannot", zap.Error(errors.New("dial 127.0.0.1:7: refused")))
		want(t, b)
		pass(Window)
		want(t, b, "cannot ×1")
		// It is over, and then begins anew.
		pass(Window)
		want(t, b)
		log.Warn("cannot", zap.Error(errors.New("dial 127.0.0.1:7: refused")))
		want(t, b, "cannot")
		pass(Window)
		want(t, b)
	})
}

// What libraries log has all that it says in its message.
func TestMessagesOfLibraries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := logger()
		for i := range 5 {
			log.Warn(fmt.Sprintf("http: Accept error: accept tcp 127.0.0.1:%d: too many open files", i))
		}
		want(t, b, "http: Accept error: accept tcp 127.0.0.1:0: too many open files")
		pass(Window)
		want(t, b, "http: Accept error: accept tcp 127.0.0.1:4: too many open files ×4")
		pass(Window)
	})
}

// pass lets time pass for everybody.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func TestWhatSaysSomethingElseIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := logger()
		for range 2 {
			log.Warn("a", zap.String("reason", "x"))
			log.Warn("a", zap.String("reason", "y"))
			log.Warn("a", zap.String("detail", "x"))
			log.Error("a", zap.String("reason", "x"))
			log.Named("part").Warn("a", zap.String("reason", "x"))
			log.With(zap.String("lane", "due")).Warn("a", zap.String("reason", "x"))
			log.Warn("a", zap.Error(errors.New("x")))
			log.Warn("a", zap.Stringer("reason", time.March))
		}
		want(t, b, "a", "a", "a", "a", "a", "a", "a", "a")
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
		want(t, b, "a ×1", "a ×1", "a ×1", "a ×1", "a ×1", "a ×1", "a ×1", "a ×1")
	})
}

// An error has its cause at its end, behind all that was being done: long ones must not be taken for one another for that.
func TestLongTextsDifferAtTheirEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := logger()
		doing := strings.Repeat("while something was done: ", 40)
		log.Warn("cannot", zap.Error(errors.New(doing+"permission denied")))
		log.Warn("cannot", zap.Error(errors.New(doing+"no space left")))
		log.Warn("cannot", zap.Error(errors.New(doing+"permission denied")))
		log.Warn(doing + "permission denied")
		log.Warn(doing + "no space left")
		if got := len(lines(t, b)); got != 4 {
			t.Errorf("%d lines are written, wanted 4", got)
		}
		pass(Window)
		if got := len(lines(t, b)); got != 1 {
			t.Errorf("%d lines sum up, wanted 1", got)
		}
		pass(Window)
	})
}

func TestOutcomesAreNeverKeptBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := logger()
		for i := range 3 {
			log.Info("customer activated", zap.Int("domain_id", i))
			log.Warn("activation failed", zap.Int("domain_id", i), zap.String("reason", "refused"), Outcome())
		}
		if strings.Contains(b.String(), "outcome") {
			t.Errorf("the mark is written: %s", b)
		}
		want(t, b, "customer activated", "activation failed", "customer activated", "activation failed", "customer activated", "activation failed")
		pass(Window)
		want(t, b)
	})
}

// A flood of lines that all differ, and of long ones, is written, and takes no more room than some lines do.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, b := logger()
		core := log.Core().(*sieve)
		for i := range 10 * most {
			log.Warn("a", zap.String("reason", strings.Repeat(string(rune('a'+i%26)), 1+i/26)+strings.Repeat("!", 1_000)))
			log.Warn("a", zap.String("reason", strings.Repeat(string(rune('a'+i%26)), 1+i/26)+strings.Repeat("!", 1_000)))
			if n := len(core.memory.lines); n > most || n != len(core.memory.order) {
				t.Fatalf("%d lines are remembered, %d in order", n, len(core.memory.order))
			}
		}
		for key := range core.memory.lines {
			if len(key) > 2*longest {
				t.Fatalf("%d bytes of a line are remembered", len(key))
			}
		}
		b.Reset()
		if err := log.Sync(); err != nil {
			t.Fatal(err)
		}
		if n := len(core.memory.lines); n != 0 {
			t.Errorf("%d lines are remembered after the end", n)
		}
	})
}

func TestLevelIsTheCoresOwn(t *testing.T) {
	t.Parallel()
	level := zap.NewAtomicLevelAt(zap.ErrorLevel)
	var b output
	log := zap.New(Wrap(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}), zapcore.AddSync(&b), level)))
	log.Warn("quiet")
	level.SetLevel(zap.DebugLevel)
	log.Debug("said")
	want(t, &b, "said")
}

func TestMask(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"none":                         "none",
		"dial tcp 127.0.0.1:4222: x":   "dial tcp #.#.#.#:#: x",
		"stream_3 of NUID8f2, é":       "# of #, é",
		"\xff\xfe1":                    "\xff\xfe#",
		"7f0c-11 and the rest, 3 of 4": "# and the rest, # of #",
	} {
		if got := mask(text); got != want {
			t.Errorf("%q is masked as %q, wanted %q", text, got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	log := zap.New(Wrap(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.Lock(zapcore.AddSync(io.Discard)), zap.InfoLevel)))
	var writing sync.WaitGroup
	for i := range 8 {
		writing.Go(func() {
			for j := range 500 {
				log.Warn("a", zap.String("reason", strings.Repeat("x", (i*j)%300)))
				if j%100 == 0 {
					_ = log.Sync()
				}
			}
		})
	}
	writing.Wait()
	_ = log.Sync()
}

func BenchmarkRepeated(b *testing.B) {
	log, _ := logger()
	err := errors.New("dial tcp 127.0.0.1:4222: connection refused")
	for b.Loop() {
		log.Warn("nats is not reachable, retrying", zap.Error(err))
	}
	_ = log.Sync()
}

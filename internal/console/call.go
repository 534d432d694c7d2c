package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
)

// question is what was asked for, understood.
type question func(context.Context) (any, error)

// call is something that the page asks for.
type call struct {
	understand func(*form) question
	turns      turns
	within     time.Duration
}

// api answers a call, or says why not. Nobody has a turn while an answer is on its way to them.
func (p *page) api(w http.ResponseWriter, r *http.Request, name string, c call) {
	p.ownOnly(w, r, func(w http.ResponseWriter, r *http.Request) {
		f := formOf(r.URL.RawQuery)
		ask := c.understand(f)
		if err := f.end(); err != nil {
			p.refuse(w, r, name, InputError{err})
			return
		}
		deadline := time.Now().Add(p.pace.wait + c.within + p.pace.send) // may be later than the server's
		_ = http.NewResponseController(w).SetWriteDeadline(deadline)     // where there is no connection, there is nothing to cut
		body, err := p.taken(r.Context(), c, ask)
		if err != nil {
			p.refuse(w, r, name, err)
			return
		}
		p.troubles.over(name)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the caller has gone: nobody to tell
	})
}

var errBusy = fmt.Errorf("%w: too much is asked for at once", ErrAway)

// taken asks when it is its turn.
func (p *page) taken(ctx context.Context, c call, ask question) ([]byte, error) {
	if !c.turns.take(ctx, p.pace.wait) {
		return nil, errBusy
	}
	defer c.turns.give()
	ctx, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	return safely(func() ([]byte, error) {
		found, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		return encode(found)
	})
}

// refuse says what is wrong: to the reader what the reader can do something about, to the log the rest.
func (p *page) refuse(w http.ResponseWriter, r *http.Request, name string, err error) {
	status, text := http.StatusInternalServerError, "this cannot be answered; the worker's log says why"
	_, wrong := errors.AsType[InputError](err)
	switch {
	case r.Context().Err() != nil:
		return // nobody is there
	case wrong:
		status, text = http.StatusBadRequest, err.Error()
	case errors.Is(err, ErrAway):
		status, text = http.StatusServiceUnavailable, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		status, text = http.StatusServiceUnavailable, "this takes too long; ask for less, or later"
	default:
		p.troubles.tell(name, err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	answer(w, status, sorry{text})
}

// turns are how many may do something at once.
type turns chan struct{}

func newTurns(n int) turns { return make(turns, n) }

// take waits for a turn, which is to be given back.
func (t turns) take(ctx context.Context, most time.Duration) bool {
	enough := time.NewTimer(most)
	defer enough.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-enough.C:
	case <-ctx.Done():
	}
	return false
}

func (t turns) give() { <-t }

// panicked is an error that was a panic.
type panicked struct {
	value any
	stack []byte
}

func (p panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// safely makes an error of a panic: a page that is wrong must not stop the work.
func safely(do func() ([]byte, error)) (body []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			body, err = nil, panicked{v, debug.Stack()}
		}
	}()
	return do()
}

// troubles are told to the log when they change, not each time that somebody looks.
type troubles struct {
	log  *zap.Logger
	mu   sync.Mutex
	told map[string]string // by call
}

func (t *troubles) tell(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[name] == err.Error() {
		return
	}
	t.told[name] = err.Error()
	fields := []zap.Field{zap.String("call", name), zap.Error(err)}
	if p, ok := errors.AsType[panicked](err); ok {
		fields = append(fields, zap.ByteString("stack", p.stack))
	}
	t.log.Error("the page could not be answered", fields...)
}

func (t *troubles) over(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.told, name)
}

// encode writes JSON in one line, with [] for slices that are nil.
func encode(body any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // no browser takes it for HTML, by its type
	err := enc.Encode(filled(body))
	return b.Bytes(), err
}

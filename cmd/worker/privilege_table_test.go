package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
)

// trespass is what one user must not be able to do.
type trespass struct {
	who, what string
	deed      deed
}

// consumerOf is the body of a request that makes a consumer.
func consumerOf(stream, name, settings string) string {
	return fmt.Sprintf(`{"stream_name":%q,"config":{"durable_name":%[2]q,"name":%[2]q,"ack_policy":"explicit",%s}}`, stream, name, settings)
}

const (
	onlyActivated = `"filter_subject":"activation.customer.*.activated"`
	alsoFailed    = `"filter_subjects":["activation.customer.*.activated","activation.customer.*.failed"]`
)

// trespasses are all that is tried.
func trespasses() []trespass {
	var all []trespass
	add := func(who string, what map[string]deed) {
		for name, deed := range what {
			all = append(all, trespass{who, name, deed})
		}
	}
	// Nobody but the worker writes what workers and readers believe; nobody at all deletes.
	for _, who := range everybody {
		if who != "worker" {
			add(who, map[string]deed{
				"writes a record":                     says("activation.customer.7.activated"),
				"sets a timer":                        says("activation.timer.7"),
				"rejects":                             says("activation.rejected.7"),
				"announces a replay":                  says("activation.replay.7"),
				"says work is resumed":                says("activation.intake.resumed"),
				"spends the quota":                    says(pace),
				"says that the quota has changed":     hints,
				"hears that the quota has changed":    hears(events.SubjectQuota, hint),
				"hears the worker's answers":          hears("_INBOX_worker.>", answered("worker")),
				"purges the work":                     asks("STREAM.PURGE.ACTIVATION_WORK", `{"filter":"activation.timer.9"}`),
				"purges the ledger":                   asks("STREAM.PURGE.ACTIVATION", `{"filter":"activation.customer.9.*"}`),
				"deletes a rejection":                 asks("STREAM.MSG.DELETE.ACTIVATION_REJECTED", `{"seq":999}`),
				"gets timers directly":                asks("DIRECT.GET.ACTIVATION_WORK", `{"multi_last":["activation.timer.7"]}`),
				"takes a wake-up":                     asks("CONSUMER.MSG.NEXT.ACTIVATION_WORK.due", `{"no_wait":true}`),
				"takes a request":                     asks("CONSUMER.MSG.NEXT.ACTIVATION_WORK.requests", `{"no_wait":true}`),
				"takes an announcement":               asks("CONSUMER.MSG.NEXT.SIGNUP.activator", `{"no_wait":true}`),
				"acks for the worker an announcement": acks("SIGNUP", "activator"),
				"acks for the worker a request":       acks("ACTIVATION_WORK", "requests"),
			})
		}
		if who != "pipeline" {
			add(who, map[string]deed{"announces": says("signup.terms.accepted")})
		}
		if who != "setup" {
			add(who, map[string]deed{
				"makes one without a name":       asks("CONSUMER.CREATE.ACTIVATION", `{"stream_name":"ACTIVATION","config":{"ack_policy":"none"}}`),
				"makes a stream":                 asks("STREAM.CREATE.EVIL", `{"name":"EVIL","subjects":["evil"]}`),
				"changes the ledger":             asks("STREAM.UPDATE.ACTIVATION", `{"name":"ACTIVATION"}`),
				"changes the quota's bucket":     asks("STREAM.UPDATE.KV_ACTIVATION_QUOTA", `{"name":"KV_ACTIVATION_QUOTA"}`),
				"reads the quota by a consumer":  asks("CONSUMER.CREATE.KV_ACTIVATION_QUOTA.mine."+pace, consumerOf("KV_ACTIVATION_QUOTA", "mine", `"filter_subject":"`+pace+`"`)),
				"deletes the intake's consumer":  asks("CONSUMER.DELETE.SIGNUP.activator", ""),
				"deletes the requests' consumer": asks("CONSUMER.DELETE.ACTIVATION_WORK.requests", ""),
				"moves the intake's consumer":    asks("CONSUMER.CREATE.SIGNUP.activator.signup.terms.accepted", consumerOf("SIGNUP", "activator", `"filter_subject":"signup.terms.accepted"`)),
				"reads the work":                 asks("CONSUMER.CREATE.ACTIVATION_WORK.mine.activation.redo.1", consumerOf("ACTIVATION_WORK", "mine", `"filter_subject":"activation.redo.1"`)),
			})
		}
		for name, d := range map[string]deed{
			"deletes the quota":          asks("STREAM.DELETE.KV_ACTIVATION_QUOTA", ""),
			"purges the quota":           asks("STREAM.PURGE.KV_ACTIVATION_QUOTA", `{"filter":"$KV.ACTIVATION_QUOTA.none"}`),
			"deletes what was spent":     asks("STREAM.MSG.DELETE.KV_ACTIVATION_QUOTA", `{"seq":999}`),
			"spends another quota":       says("$KV.ACTIVATION_QUOTA.other"),
			"hears the quota":            hears(pace, paced), // who could, would let others have the server deliver there
			"deletes the ledger":         asks("STREAM.DELETE.ACTIVATION", ""),
			"deletes the work":           asks("STREAM.DELETE.ACTIVATION_WORK", ""),
			"deletes the intake":         asks("STREAM.DELETE.SIGNUP", ""),
			"purges the intake":          asks("STREAM.PURGE.SIGNUP", `{"filter":"signup.none"}`),
			"purges rejections":          asks("STREAM.PURGE.ACTIVATION_REJECTED", `{"filter":"activation.rejected.0"}`),
			"deletes an announcement":    asks("STREAM.MSG.DELETE.SIGNUP", `{"seq":999}`),
			"deletes a record":           asks("STREAM.MSG.DELETE.ACTIVATION", `{"seq":999}`),
			"pauses the intake":          asks("CONSUMER.PAUSE.SIGNUP.activator", `{"pause_until":"2099-01-01T00:00:00Z"}`),
			"resets the intake":          asks("CONSUMER.RESET.SIGNUP.activator", `{"seq":1}`),
			"pauses the wake-ups":        asks("CONSUMER.PAUSE.ACTIVATION_WORK.due", `{"pause_until":"2099-01-01T00:00:00Z"}`),
			"makes a consumer as before": asks("CONSUMER.DURABLE.CREATE.ACTIVATION.mine", consumerOf("ACTIVATION", "mine", `"deliver_policy":"all"`)),
			"copies the ledger":          asks("STREAM.SNAPSHOT.ACTIVATION", `{"deliver_subject":"_INBOX_x.y"}`),
			"wakes a customer":           says("activation.due.7"),
			"makes the leader step down": asks("CONSUMER.LEADER.STEPDOWN.SIGNUP.activator", ""),
		} {
			add(who, map[string]deed{name: d})
		}
		for _, verb := range []events.Verb{events.VerbReplay, events.VerbCancel, events.VerbForget} {
			for _, as := range []string{"alice", "bob", "carol", "unverified-root"} {
				if who+string(verb) != as+map[string]string{"alice": "replay", "bob": "cancel", "carol": "forget"}[as] {
					add(who, map[string]deed{"asks to " + string(verb) + " as " + as: says(events.RequestSubject(verb, as, "r7"))})
				}
			}
		}
	}
	// An answer is published where the asker says.
	add("pipeline", map[string]deed{
		"has an ack stored as a record":  diverts("signup.terms.accepted", "{}", "activation.customer.8.activated"),
		"has an ack stored as a timer":   diverts("signup.terms.accepted", "{}", "activation.timer.8"),
		"has an ack stored as a request": diverts("signup.terms.accepted", "{}", "activation.request.forget.carol.8"),
		"has an ack stored as the quota": diverts("signup.terms.accepted", "{}", pace),
	})
	add("greeter", map[string]deed{
		"has a record stored again":  diverts("$JS.API.CONSUMER.MSG.NEXT.ACTIVATION.greeter", "", "activation.customer.8.activated"),
		"has an answer stored":       diverts("$JS.API.CONSUMER.INFO.ACTIVATION.greeter", "", "activation.timer.8"),
		"has an answer as the quota": diverts("$JS.API.CONSUMER.INFO.ACTIVATION.greeter", "", pace),
	})
	add("alice", map[string]deed{
		"has an ack stored as a record":          diverts("activation.request.replay.alice.r8", "{}", "activation.customer.8.activated"),
		"has an ack stored as another's request": diverts("activation.request.replay.alice.r8", "{}", "activation.request.forget.carol.8"),
		"has an answer stored as another's":      diverts("$JS.API.STREAM.INFO.ACTIVATION", "", "activation.request.forget.carol.9"),
		"has a message stored as another's":      diverts("$JS.API.STREAM.MSG.GET.ACTIVATION", `{"seq":1}`, "activation.timer.8"),
		"has an old quota stored again":          diverts("$JS.API.STREAM.MSG.GET.KV_ACTIVATION_QUOTA", `{"seq":1}`, pace),
	})
	add("monitor", map[string]deed{
		"has an answer stored":          diverts("$JS.API.STREAM.INFO.ACTIVATION", "", "activation.timer.8"),
		"has a message stored":          diverts("$JS.API.DIRECT.GET.ACTIVATION", `{"last_by_subj":"activation.customer.5.activated"}`, "activation.customer.8.activated"),
		"has an old quota stored again": diverts("$JS.API.DIRECT.GET.KV_ACTIVATION_QUOTA."+pace, "", pace),
	})
	// A reader sees what is activated, and a pipeline nothing.
	for _, who := range []string{"greeter", "pipeline"} {
		add(who, map[string]deed{
			"makes a consumer with one filter":    asks("CONSUMER.CREATE.ACTIVATION.mine.activation.customer.*.failed", consumerOf("ACTIVATION", "mine", `"filter_subject":"activation.customer.*.failed"`)),
			"makes a consumer with two filters":   asks("CONSUMER.CREATE.ACTIVATION.mine", consumerOf("ACTIVATION", "mine", alsoFailed)),
			"gives its consumer two filters":      asks("CONSUMER.CREATE.ACTIVATION.greeter", consumerOf("ACTIVATION", "greeter", alsoFailed)),
			"gives its consumer another filter":   asks("CONSUMER.CREATE.ACTIVATION.greeter.activation.customer.*.*", consumerOf("ACTIVATION", "greeter", `"filter_subject":"activation.customer.*.*"`)),
			"says where its consumer delivers to": asks("CONSUMER.CREATE.ACTIVATION.greeter.activation.customer.*.activated", consumerOf("ACTIVATION", "greeter", `"deliver_subject":"activation.timer.1",`+onlyActivated)),
			"makes an ordered one":                asks("CONSUMER.CREATE.ACTIVATION.x_1.activation.customer.*.failed", `{"stream_name":"ACTIVATION","config":{"name":"x_1","filter_subject":"activation.customer.*.failed","ack_policy":"none"}}`),
			"gets a message":                      asks("STREAM.MSG.GET.ACTIVATION", `{"last_by_subj":"activation.customer.*.failed"}`),
			"gets a message directly":             asks("DIRECT.GET.ACTIVATION", `{"seq":1}`),
			"gets a last message directly":        asks("DIRECT.GET.ACTIVATION.activation.customer.5.failed", ""),
			"gets an announcement":                asks("STREAM.MSG.GET.SIGNUP", `{"seq":1}`),
			"reads what the ledger is like":       asks("STREAM.INFO.ACTIVATION", ""),
			"lists streams":                       asks("STREAM.NAMES", ""),
			"hears failures":                      hears("activation.customer.*.failed", records(events.Failed)),
			"hears everything":                    hears(">", records(events.Failed)),
			"hears activations as they come":      hears("activation.customer.*.activated", records(events.Activated)),
			"hears advisories":                    hears("$JS.EVENT.>", answered("setup")),
			"hears an operator's answers":         hears("_INBOX_alice.>", answered("alice")),
			"hears all answers":                   hears("*.>", answered("worker")),
			"hears old answers":                   hears("_INBOX.>", func(r *realm) { _ = r.users["worker"].Publish("_INBOX.x", nil) }),
		})
	}
	add("greeter", map[string]deed{"hears announcements": hears("signup.terms.accepted", answered("pipeline"))})
	add("pipeline", map[string]deed{
		"takes a reader's message": asks("CONSUMER.MSG.NEXT.ACTIVATION.greeter", `{"no_wait":true}`),
		"looks at the intake":      asks("CONSUMER.INFO.SIGNUP.activator", ""),
	})
	for _, who := range []string{"alice", "bob", "carol", "dave"} {
		add(who, map[string]deed{
			"keeps others from sweeping":               asks("CONSUMER.CREATE.ACTIVATION.sweep", consumerOf("ACTIVATION", "sweep", `"deliver_policy":"all"`)),
			"filters the sweep":                        asks("CONSUMER.CREATE.ACTIVATION.sweep.activation.customer.*.*", consumerOf("ACTIVATION", "sweep", `"filter_subject":"activation.customer.*.*"`)),
			"deletes the sweep":                        asks("CONSUMER.DELETE.ACTIVATION.sweep", ""),
			"deletes a reader's consumer":              asks("CONSUMER.DELETE.ACTIVATION.greeter", ""),
			"changes a reader's consumer":              asks("CONSUMER.CREATE.ACTIVATION.greeter", consumerOf("ACTIVATION", "greeter", alsoFailed)),
			"takes a reader's message":                 asks("CONSUMER.MSG.NEXT.ACTIVATION.greeter", `{"no_wait":true}`),
			"hears the records":                        hears("activation.customer.>", records(events.Failed)),
			"hears others' answers":                    hears("*.>", answered("monitor")),
			"has rejections delivered into the ledger": delivers("ACTIVATION_REJECTED", "activation.rejected.*", "activation.customer.9.failed"),
			"has announcements delivered as a request": delivers("SIGNUP", "signup.terms.accepted", "activation.request.forget.carol.9"),
			"has records delivered as a timer":         delivers("ACTIVATION", "activation.customer.*.activated", "activation.timer.9"),
			"has records delivered as the quota":       delivers("ACTIVATION", "activation.customer.*.activated", pace),
			"lists consumers":                          asks("CONSUMER.NAMES.ACTIVATION", ""),
		})
	}
	add("monitor", map[string]deed{
		"makes a consumer":            asks("CONSUMER.CREATE.ACTIVATION.mine.activation.customer.*.failed", consumerOf("ACTIVATION", "mine", `"filter_subject":"activation.customer.*.failed"`)),
		"deletes a reader's consumer": asks("CONSUMER.DELETE.ACTIVATION.greeter", ""),
		"takes a reader's message":    asks("CONSUMER.MSG.NEXT.ACTIVATION.greeter", `{"no_wait":true}`),
		"hears others' answers":       hears("*.>", answered("dave")),
	})
	add("worker", map[string]deed{
		"hears others' answers": hears("_INBOX_setup.>", answered("setup")),
		"hears everything":      hears("activation.>", records(events.Failed)),

		"lists the intake's consumers": asks("CONSUMER.LIST.SIGNUP", ""),
		"lists the work's consumers":   asks("CONSUMER.LIST.ACTIVATION_WORK", ""),
	})
	return all
}

// TestNobodyMayMore tries everything twice: with the shipped accounts nothing comes through. In one account without
// permissions all of it does, or the trial would prove nothing.
func TestNobodyMayMore(t *testing.T) {
	t.Parallel()
	guarded, open := guardedRealm(t), openRealm(t)
	for _, c := range trespasses() {
		t.Run(c.who+" "+c.what, func(t *testing.T) {
			guarded.t, open.t = t, t
			if c.deed(guarded, c.who) {
				t.Errorf("%s %s", c.who, c.what)
			}
			if !c.deed(open, c.who) {
				t.Errorf("%s could not do it with every right: this trial cannot fail", c.who)
			}
			open.rebuild()
		})
	}
}

// TestNobodyGetsInWithout: TLS and a key of the file are both needed.
func TestNobodyGetsInWithout(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	stranger := *g
	stranger.seeds = map[string]string{}
	stranger.makeKey(t.TempDir(), "stranger")
	for name, options := range map[string][]nats.Option{
		"no credentials":     {nats.RootCAs(g.ca)},
		"a password":         {nats.RootCAs(g.ca), nats.UserInfo("worker", "worker")},
		"an unknown key":     stranger.options("stranger"),
		"a token":            {nats.RootCAs(g.ca), nats.Token("x")},
		"no trust in the CA": {g.options("worker")[0]},
	} {
		if nc, err := nats.Connect(g.url, options...); err == nil {
			nc.Close()
			t.Errorf("with %s somebody gets in", name)
		}
	}
	if nc, err := nats.Connect(g.url, g.options("worker")...); err != nil {
		t.Errorf("with TLS and the worker's key nobody gets in: %v", err)
	} else {
		nc.Close()
	}

	// Without TLS the server hears nothing: not even who it would be.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	info, err := in.ReadString('\n')
	if err != nil || !strings.Contains(info, `"tls_required":true`) {
		t.Fatalf("the server greets with %s, %v", info, err)
	}
	if _, err := io.WriteString(conn, "CONNECT {\"verbose\":true,\"lang\":\"x\",\"version\":\"1\"}\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if strings.Contains(string(rest), "PONG") || os.IsTimeout(err) {
		t.Errorf("without TLS the server answers %q, %v", rest, err)
	}
}

package events_test

import (
	"encoding/json"
	"testing"

	"activation-worker/internal/events"
)

// announced is an event as signup pipelines send it.
const announced = `{"specversion":"1.0","id":"A-51200931","source":"/signup","type":"signup.terms.accepted","time":"2026-03-02T09:00:00Z",` +
	`"datacontenttype":"application/json","data":{"domainId":51200931,"domain":"hinode-foods.example","reference":"order-7"}}`

func BenchmarkDecode(b *testing.B) {
	for name, m := range map[string]events.Message{
		"structured": structured(announced),
		"plain":      intake(`{"domainId":51200931,"domain":"hinode-foods.example","reference":"order-7"}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a, err := (events.Decoder{}).Decode(m); err != nil || a.DomainID != 51200931 {
					b.Fatal(a, err)
				}
			}
		})
	}
}

func BenchmarkEncodeRecord(b *testing.B) {
	for name, r := range map[string]*events.Record{
		"started": sample(events.Started, func(r *events.Record) { r.Worker, r.LeaseExpiresAt = "worker-7f3a", at(70) }),
		"activated": sample(events.Activated, func(r *events.Record) {
			r.Via, r.ActivatedAt = events.ViaActivate, at(5)
			r.Customer = json.RawMessage(`{"tenantId":51200417,"domainId":51200931,"domain":"hinode-foods.example","companyName":"日の出フーズ株式会社","enableActiveDomain":true,` +
				`"domainType":"DOMAIN","administrator":{"email":"admin@hinode-foods.example","lastName":"山田","firstName":"花子"},"partnership":{"status":"APPROVED","customerCode":"C-0931"}}`)
		}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := events.EncodeRecord(r, source, 41, at(3)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeRecord(b *testing.B) {
	r := sample(events.Started, func(r *events.Record) { r.Worker, r.LeaseExpiresAt = "worker-7f3a", at(70) })
	msg, err := events.EncodeRecord(r, source, 41, at(3))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.DecodeRecord(events.CustomerSubject(r.DomainID, r.State), 42, msg); err != nil {
			b.Fatal(err)
		}
	}
}

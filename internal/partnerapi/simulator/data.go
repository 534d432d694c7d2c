package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// dataRules are the faults in the object of an answer: its bytes are JSON still.
func dataRules() []rule {
	return []rule{
		{name: "null-fields", help: "null in every optional field", set: changed(nullFields)},
		{name: "null-objects", help: "administrator and partnership are null", set: changed(func(o object) object {
			return withExisting(withExisting(o, "administrator", nil), "partnership", nil)
		})},
		{name: "missing-objects", help: "administrator and partnership are missing", set: changed(func(o object) object {
			return o.without("administrator", "partnership", "productId")
		})},
		{name: "unknown-fields", help: "fields that no page lists, deep and large", set: changed(unknownFields)},
		{name: "unknown-enums", help: "values that no page lists", set: changed(func(o object) object {
			o = withExisting(withExisting(withExisting(o, "productId", "ULTRA_T"), "locale", "th_TH"), "domainType", "SUBDOMAIN")
			return o.nested("partnership", func(p object) object { return p.with("status", "REVIEW_READY") })
		})},
		{name: "big-numbers", help: "numbers that a float64 would round", set: changed(func(o object) object {
			return withExisting(o, "tenantId", int64(9007199254740993)).with("sequence", json.RawMessage("123456789012345678901234567890")).
				with("share", json.RawMessage("0.1000000000000000055511151231257827"))
		})},
		{name: "string-id", help: "domainId is a string", set: changed(func(o object) object { return idAs(o, `"%d"`) })},
		{name: "invalid-utf8", help: "a broken character in a text", set: changed(func(o object) object {
			return o.with("companyName", json.RawMessage("\"Kogane \xff\xe3\x81 works\""))
		})},
		{name: "huge", value: "2MiB", help: "so many bytes of an unknown field before the others", set: func(p *plan, v string) error {
			n, err := parseSize(v)
			p.data = append(p.data, func(o object) object { return append(object{{"padding", strings.Repeat("x", n)}}, o...) })
			return err
		}},
		{name: "inactive-200", help: "enableActiveDomain is false whatever is true", set: changed(func(o object) object {
			return withExisting(o, "enableActiveDomain", false)
		})},
		{name: "other-customer", help: "another customer's object", set: blinded(func(o object) object {
			return withExisting(idAs(o, "%d7"), "domain", "somebody-else.example")
		})},
		{name: "float-id", help: "domainId is written with a fraction", set: blinded(func(o object) object { return idAs(o, "%d.0") })},
		{name: "no-id", help: "domainId is missing", set: blinded(func(o object) object { return o.without("domainId") })},
		{name: "nested-only", help: "the fields that decide stand in an inner object alone", set: blinded(func(o object) object {
			return object{{"customer", o}}
		})},
		{name: "duplicate-fields", help: "enableActiveDomain and domainId twice, contradicting", set: blinded(func(o object) object {
			return append(idAs(o.without(), "%d7"), append(object{{"enableActiveDomain", false}}, o...)...)
		})},
	}
}

// changed is a fault that leaves readable what the answer tells.
func changed(how func(object) object) func(*plan, string) error {
	return func(p *plan, _ string) error {
		p.data = append(p.data, how)
		return nil
	}
}

// blinded is one that does not.
func blinded(how func(object) object) func(*plan, string) error {
	return func(p *plan, _ string) error {
		p.data, p.blind = append(p.data, how), true
		return nil
	}
}

// withExisting changes a field if the object has it: the same fault may meet other objects than customers.
func withExisting(o object, name string, value any) object {
	for _, f := range o {
		if f.name == name {
			return o.with(name, value)
		}
	}
	return o
}

// idAs writes the domain id in another format.
func idAs(o object, format string) object {
	for _, f := range o {
		if id, ok := f.value.(int64); ok && f.name == "domainId" {
			return o.with("domainId", json.RawMessage(fmt.Sprintf(format, id)))
		}
	}
	return o
}

// nullFields follows the list of required fields (docs/partner-api.md §3); DNS values are all optional.
func nullFields(o object) object {
	for _, name := range []string{"productId", "cnameHost", "cnameTarget", "txtHost", "txtToken", "mxRecordHost", "mxRecordValue", "isActiveDomain"} {
		o = withExisting(o, name, nil)
	}
	o = o.nested("administrator", func(a object) object {
		return a.with("firstName", nil).with("cellphone", nil).with("countryCode", nil)
	})
	return o.nested("partnership", func(p object) object {
		for _, f := range p {
			p = p.with(f.name, nil)
		}
		return p
	})
}

// unknownFields puts 200 levels and some 64 KiB in front, and misleading copies of the fields that decide below them.
func unknownFields(o object) object {
	deep := object{{"domainId", 1}, {"enableActiveDomain", false}}
	for i := range 200 {
		deep = object{{"level" + strconv.Itoa(i), deep}}
	}
	many := make([]object, 0, 1000)
	for i := range 1000 {
		many = append(many, object{{"id", i}, {"enableActiveDomain", i%2 == 0}, {"text", "<未知> & \u2028 🗾"}})
	}
	return append(object{{"extension", deep}, {"history", many}}, o...)
}

package simulator

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// company is a made-up one, by its label in domain names and its name in Japanese or English.
type company struct{ label, name, locale string }

func companies() []company {
	return []company{
		{"hinode-foods", "ひので食品株式会社", "ja_JP"},
		{"asagiri", "Asagiri Trading", "en_US"},
		{"kogane", "こがね製作所", "ja_JP"},
		{"mitsuba-print", "三葉印刷有限会社", "ja_JP"},
		{"northpier", "North Pier Logistics & Co.", "en_US"},
		{"yukimichi", "雪道ツーリスト", "ja_JP"},
		{"haneul", "하늘디자인", "ko_KR"},
		{"takibi", "焚火カフェ<本店>", "ja_JP"},
		{"qingshan", "青山顧問", "zh_TW"},
		{"umikaze", "うみかぜ歯科クリニック", "ja_JP"},
	}
}

func people() []Administrator {
	return []Administrator{
		{LastName: "Mori", FirstName: "Aki"},
		{LastName: "佐久", FirstName: "悠真"},
		{LastName: "Tanabe"},
		{LastName: "沢渡", FirstName: "みのり"},
		{LastName: "O'Hara", FirstName: "Juno"},
		{LastName: "髙木", FirstName: "𠮷乃"},
		{LastName: "Kita", FirstName: "Ren"},
	}
}

// invented fills in what a customer leaves out, always the same for the same domain id.
func invented(c Customer) Customer {
	r := rand.New(rand.NewPCG(uint64(c.DomainID), 1))
	firms, persons := companies(), people()
	firm, person := firms[r.IntN(len(firms))], persons[r.IntN(len(persons))]
	suffix := c.DomainID % 1_000_000
	c.TenantID = cmp.Or(c.TenantID, 51_000_000+suffix)
	c.Domain = cmp.Or(c.Domain, fmt.Sprintf("%s-%d.example", firm.label, suffix))
	if c.DomainType == "" {
		c.DomainType = domainType(c.Domain)
	}
	c.CompanyName = cmp.Or(c.CompanyName, firm.name)
	c.PhoneNumber = cmp.Or(c.PhoneNumber, fmt.Sprintf("06-5550-%04d", r.IntN(10_000)))
	c.TimeZone = cmp.Or(c.TimeZone, "Asia/Tokyo")
	c.Locale = cmp.Or(c.Locale, firm.locale)
	c.CustomerCode = cmp.Or(c.CustomerCode, fmt.Sprintf("C-%06d", suffix))
	if c.Administrator == (Administrator{}) {
		person.ID = "admin"
		person.PrivateEmail = fmt.Sprintf("owner%d@mail.example", c.DomainID)
		person.Cellphone = fmt.Sprintf("090-5550-%04d", r.IntN(10_000))
		person.CountryCode = "+81"
		c.Administrator = person
	}
	return c
}

func domainType(domain string) string {
	if strings.Contains(domain, ".") {
		return "DOMAIN"
	}
	return "GROUP"
}

// Crowd makes n customers with domain ids from first on, most of them ready to be activated: of twenty, two wait for DNS and one for the
// terms (each for up to a minute), one is active already, one has a group name and one a name that needs no proof.
func Crowd(n int, first int64, seed uint64) []Customer {
	crowd := make([]Customer, 0, n)
	for i := range n {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		soon := time.Duration(5+r.IntN(55)) * time.Second
		c := Customer{DomainID: first + int64(i), Terms: true, DNS: true}
		switch r.IntN(20) {
		case 0, 1:
			c.DNS, c.DNSAfter = false, soon
		case 2:
			c.Terms, c.TermsAfter = false, soon
		case 3:
			c.Active = true
		case 4:
			c.DNS, c.Domain = false, fmt.Sprintf("group%d", c.DomainID)
		case 5:
			c.DNS, c.Domain = false, fmt.Sprintf("c%d.by-works.com", c.DomainID)
		}
		crowd = append(crowd, c)
	}
	return crowd
}

// Package ownership looks once at the TXT and CNAME records by which a customer proves that a domain is theirs.
//
// A [Looker] asks its resolvers at the same time and says what it saw. It holds no state between two looks, runs nothing on its
// own and knows no schedule: the caller decides when to look, and what a sight means for a customer. Since no answer is kept, a
// negative one is never believed longer than its TTL, and neither is any other.
//
// Where the partner wants the records is not documented (docs/partner-api.md §3): the host may be "@", one label, several, or a
// full name. So each name that it may mean is asked. One of the two records, exactly as wanted, at one resolver is enough; the partner's
// resolver may see more or less than ours, and only its answer to an activation counts.
//
//	values.go     what is wanted, and the names where it may stand
//	looker.go     resolvers as they are configured
//	look.go       one look: all resolvers, all names
//	judge.go      what an answer shows
//	exchange.go   one question and its answer: UDP, once more, TCP
//	authority.go  the authoritative servers of a zone
//	public.go     addresses that a customer's name servers may have
package ownership

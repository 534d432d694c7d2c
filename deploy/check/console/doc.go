// Package console looks at the live console as a person does: in a real Chromium without a window, on the page of a real worker with its
// partner's stand-in, its DNS and its NATS. It has nothing but tests; .ci/run console installs what they want.
//
//	browser_test.go   one Chromium for all tests, each in tabs of its own
//	tab_test.go       what a person does in a tab, and what is noted of it: requests, errors, breaches of the policy
//	site_test.go      the worker and all around it
//	proxy_test.go     the console under a path of another server
//	axe_test.go       axe-core's rules
//
// The names by which the tests find what they look for are the page's own; they stand in internal/console/page/doc.go.
package console

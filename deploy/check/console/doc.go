// Package console looks at the live console as a person does: in a real Chromium without a window, on the page of a real worker with its
// partner's stand-in, its DNS and its NATS. It has nothing but tests; .ci/run console installs what they want.
//
//	browser_test.go   one Chromium for all tests, each in tabs of its own
//	tab_test.go       what a person does in a tab
//	notes_test.go     what a tab asks of the network, and what the browser complains about: checked at the end of each test
//	site_test.go      workers and all around them; ledger_test.go what they wrote, proxy_test.go the page under another server's path
//	axe_test.go       axe-core's rules
//	rig_test.go       that a bad page is seen to be bad
//
// Two tests can be run by hand for longer than .ci/run does: SOAK=30m for what grows, and SCREENSHOTS for the pictures of docs/console.
package console

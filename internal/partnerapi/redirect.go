package partnerapi

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// maxRedirects is how often one request is sent on. Customers' data sits on
// several instances of the partner's; one hop was seen in practice.
const maxRedirects = 3

// hostName is what a redirect's host may look like. Names that a resolver or an
// IDNA mapping could read in another way are not followed.
var hostName = regexp.MustCompile(`^[a-z0-9.-]+$`)

func isRedirect(status int) bool { return status >= 300 && status <= 399 }

// nextHop returns where a redirect leads, or a sentence why we do not go there.
// The token goes with the request, hence the narrow choice of hosts.
func nextHop(api, current *url.URL, status int, h http.Header) (*url.URL, string) {
	if status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		return nil, "only 307 and 308 are followed"
	}
	location := h.Get("Location")
	if location == "" {
		return nil, "the redirect has no Location"
	}
	to, err := current.Parse(location)
	if err != nil {
		return nil, "the redirect's Location is no URL"
	}
	if to.User != nil || !mayFollow(api, to) {
		return nil, "the redirect leads to a place that may not get the token: check " + settingAPIURL
	}
	to.Fragment, to.RawFragment = "", ""
	return to, ""
}

// mayFollow: https to the API's own host or to the partner's hosts by the
// standard port; a loopback API may point to loopback, by http too.
func mayFollow(api, to *url.URL) bool {
	if isLoopback(api) {
		return isLoopback(to) && (to.Scheme == "http" || to.Scheme == "https")
	}
	if to.Scheme != "https" {
		return false
	}
	host := strings.ToLower(to.Hostname())
	if host == strings.ToLower(api.Hostname()) && port(to) == port(api) {
		return true
	}
	return hostName.MatchString(host) && strings.HasSuffix(host, ".worksapis.com") && port(to) == "443"
}

// port returns u's port, that of https where none is written.
func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return "443"
}

package metrics

import (
	"net/http"
	"strconv"
)

// The values of labels, as the packages spell them whose words they are; a test holds them against those.
var (
	checks       = []string{"nats", "streams", "intake", "credentials", "partner", "records"}
	pauseReasons = []string{"no_credentials", "credentials_refused", "partner_unavailable", "partner_down", "everybody_refused"}
	vias         = []string{"activate", "lookup"}
	attemptEnds  = []string{"transient", "unknown_outcome", "dns_unverified", "terms_pending", "partner_unavailable", "customer_not_found", "refused"} // reasons that an attempt can end with
	operations   = []string{"activate", "customer", "upgrade_domain", "list"}                                                                          // that the quota is kept for
	waitLanes    = []string{"fresh", "waiting", "replay"}
	lanes        = []string{"intake", "due", "redo"}
	wakeLanes    = []string{"due", "redo"}
	tokenResults = []string{"ok", "refused", "unclear"}
	lookResults  = []string{"visible", "missing", "unknown"}
	probeResults = []string{"passed", "failed"}
	sweepResults = []string{"ok", "failed"}
)

// statusNone stands for a request that nothing was answered to.
const statusNone = "none"

// status is the label of an HTTP status, 0 for no answer. What nobody has given a name to is one value: the partner, or
// what stands before it, could send any number.
func status(code int) string {
	switch {
	case code == 0:
		return statusNone
	case http.StatusText(code) == "":
		return "other"
	}
	return strconv.Itoa(code)
}

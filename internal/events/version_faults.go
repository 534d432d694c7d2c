//go:build faults

package events

import (
	"cmp"
	"os"
	"strconv"
)

// recordVersion can be raised in a build for tests, to see an upgrade and its rollback.
var recordVersion = func() int {
	n, _ := strconv.Atoi(cmp.Or(os.Getenv("FAULTS_RECORD_VERSION"), "1")) //nolint:forbidigo // in a build that is no product
	return max(1, n)
}()

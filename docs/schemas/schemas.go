// Package schemas holds the published JSON Schemas (draft 2020-12) of what goes in and out of the worker, for the tests. Readers
// take the files. The worker itself does not need them: it reads by hand, and strictly only what it needs.
package schemas

import "embed"

// V1 are the schemas of version 1, as v1/<event type>.json, and v1/cloudevent.json for the attributes of every event.
//
//go:embed v1/*.json
var V1 embed.FS

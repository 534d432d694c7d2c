// Package monitoring holds deploy/prometheus, deploy/grafana and docs/runbook.md against each other, and against a real
// Prometheus that scrapes real workers: each alert is provoked there and seen to fire and to end, and each query of the
// dashboard is asked. It has nothing but tests; .ci/run monitoring installs what they want.
package monitoring

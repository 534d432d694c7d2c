// Package check holds what is shipped under deploy against the tools that will read it. It is a module of its own, so
// that nothing of them gets into the worker; its tests want tools that .ci/run installs.
package check

//go:build race

package main

// detecting is how the command is built where the tests have the race detector: with it too, so that it sees the service itself.
// At its end it would sleep for a second, which is no time of the worker's.
var (
	detecting    = []string{"-race"}
	detectingEnv = []string{"GORACE=atexit_sleep_ms=0"}
)

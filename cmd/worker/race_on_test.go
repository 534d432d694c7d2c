//go:build race

package main

// detecting is how the command is built where the tests have the race detector: with it too, so that it sees the service itself.
var detecting = []string{"-race"}

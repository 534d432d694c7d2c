package main

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the folder of the built binary, see [buildWorker], and removes it after the tests.
func TestMain(m *testing.M) {
	if err := makeBinaryDir(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removeBinaryDir()
		os.Exit(code)
	}))
}

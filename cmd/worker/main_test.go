package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the folder of the built binary, see [buildWorker], and removes it after the tests.
func TestMain(m *testing.M) {
	if err := makeBinaryDir(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Most of these tests wait, for leases, timers and other processes: more of them fit beside one another than there are processors.
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = flag.Set(parallel.Name, strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))) // it is a number
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removeBinaryDir()
		os.Exit(code)
	}))
}

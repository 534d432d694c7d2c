//go:build !race

package main

var detecting, detectingEnv []string

//go:build !race

package main

var detecting []string

//go:build !linux

package main

// rssUnit is how many bytes the system's unit of resident memory has.
const rssUnit = 1

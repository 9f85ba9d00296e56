// Package e2e tests Orderflow as its users meet it: real processes, started by devstack, seen through public APIs. It
// knows no service's inside, but for the few tests that falsify books on purpose, which no API can do.
package e2e

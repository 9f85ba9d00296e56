// Package e2e tests Orderflow as its users meet it: real processes, seen through public APIs, started by devstack or,
// with the tag compose, by docker compose. It knows no service's inside, but for the few tests that falsify books on
// purpose, which no API can do.
package e2e

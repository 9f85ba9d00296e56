// Package e2e tests Orderflow as its users meet it: real processes, started by devstack, seen through their public APIs.
// It knows no service's inside.
package e2e

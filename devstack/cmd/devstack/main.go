// Command devstack runs all of Orderflow on one machine; see README.md.
package main

import (
	"os"

	"github.com/orderflow/orderflow/devstack/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

package stack

import (
	"fmt"
	"strings"
	"time"
)

// demoOrder is an order that the seeded stock can fulfil and that the sandbox providers accept.
const demoOrder = `{"customer_id":"cus_demo","currency":"EUR","payment_token":"pm_card_visa",
  "lines":[{"sku":"COFFEE-1KG","quantity":2,"unit_price":1499}],
  "shipping_address":{"name":"Ada Lovelace","line1":"Hauptstr. 1","city":"Berlin","postal_code":"10115",
  "country":"DE"}}`

// announce prints where everything is and how to place the first order.
func (s *stack) announce(begun time.Time) {
	var b strings.Builder
	fmt.Fprintf(&b, "==> ready after %v; Ctrl-C stops everything\n\n", since(begun))
	line := func(name, value string) { fmt.Fprintf(&b, "    %-13s %s\n", name, value) }
	if !s.options.OnlyInfra {
		for _, svc := range services {
			line(svc.name, s.ports.url(svc.port()))
		}
	}
	if s.withUI() {
		line("Temporal UI", s.ports.url("UI")+"/namespaces/"+namespace+"/workflows")
	}
	line("Temporal", s.ports.address("TEMPORAL")+", namespace "+namespace)
	line("NATS", s.natsURL())
	line("PostgreSQL", s.adminURL)
	if !s.options.OnlyInfra {
		fmt.Fprintf(&b, `
Place an order and wait for its end:

  curl -sS -X POST %s/v1/orders -H 'Content-Type: application/json' -H "Idempotency-Key: demo-$(date +%%s)" \
  -H 'Prefer: wait=10' -d '%s'
`, s.ports.url("ORDERS"), demoOrder)
	}
	s.console.Printf("%s", b.String())
}

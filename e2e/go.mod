module github.com/orderflow/orderflow/e2e

go 1.26.0

require (
	github.com/google/uuid v1.6.0
	github.com/orderflow/orderflow/services/orders v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace (
	github.com/orderflow/orderflow/orchestrator => ../orchestrator
	github.com/orderflow/orderflow/pkg => ../pkg
	github.com/orderflow/orderflow/services/inventory => ../services/inventory
	github.com/orderflow/orderflow/services/orders => ../services/orders
	github.com/orderflow/orderflow/services/payments => ../services/payments
	github.com/orderflow/orderflow/services/shipping => ../services/shipping
)

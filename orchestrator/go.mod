module github.com/orderflow/orderflow/orchestrator

go 1.26.0

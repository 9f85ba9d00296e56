// Where the schemas of other people's resources come from: CRDs are read from these modules, and none of their code is
// compiled. That is why `go mod tidy` is not for this file: it would leave nothing. To raise a version, edit it here and
// run `go mod download -json` on the module.
module github.com/orderflow/orderflow/deploy/k8s/policy/crds

go 1.26.0

require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)

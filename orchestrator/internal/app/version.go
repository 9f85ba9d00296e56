package app

import (
	"cmp"
	"errors"
	"strings"

	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/service"
)

// VersionConfig says as which version of which worker deployment the orchestrator runs sagas. Each saga stays with the
// version that began it. The Temporal Worker Controller sets both variables.
type VersionConfig struct {
	// DeploymentName is what all versions of the orchestrator have in common. Empty: the worker is not versioned, and any
	// process goes on with any saga.
	DeploymentName string `env:"TEMPORAL_DEPLOYMENT_NAME"`
	// BuildID tells one version from another. Empty: the commit that the program was built from.
	BuildID string `env:"TEMPORAL_WORKER_BUILD_ID"`
}

// Validate implements config.Validator.
func (c VersionConfig) Validate() error {
	switch {
	case c.DeploymentName == "" && c.BuildID != "":
		return errors.New("TEMPORAL_WORKER_BUILD_ID needs TEMPORAL_DEPLOYMENT_NAME")
	case strings.ContainsAny(c.DeploymentName, ".:"):
		return errors.New("TEMPORAL_DEPLOYMENT_NAME must have no dot and no colon")
	case c.DeploymentName != "" && c.buildID() == "":
		return errors.New("TEMPORAL_WORKER_BUILD_ID must be set, because the program does not know its commit")
	}
	return nil
}

func (c VersionConfig) buildID() string {
	_, commit := service.Version()
	if commit == "unknown" {
		commit = ""
	}
	return cmp.Or(c.BuildID, commit)
}

func (c VersionConfig) deployment() worker.DeploymentOptions {
	if c.DeploymentName == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{
		UseVersioning: true,
		Version:       worker.WorkerDeploymentVersion{DeploymentName: c.DeploymentName, BuildID: c.buildID()},
	}
}

package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/orchestrator/internal/app"
)

func TestAVersionIsADeploymentAndABuild(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version app.VersionConfig
		problem string // "": none
	}{
		"unversioned":          {app.VersionConfig{}, ""},
		"both":                 {app.VersionConfig{DeploymentName: "orchestrator", BuildID: "1"}, ""},
		"a build of nothing":   {app.VersionConfig{BuildID: "1"}, "needs TEMPORAL_DEPLOYMENT_NAME"},
		"reserved character":   {app.VersionConfig{DeploymentName: "my.orchestrator", BuildID: "1"}, "no dot and no colon"},
		"a test has no commit": {app.VersionConfig{DeploymentName: "orchestrator"}, "TEMPORAL_WORKER_BUILD_ID must be set"},
	} {
		err := tc.version.Validate()
		if tc.problem == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, tc.problem, name)
	}
}

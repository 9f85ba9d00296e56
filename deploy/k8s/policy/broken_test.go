package policy

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each breaks one file of a copy, by replacing one text with another, and says what has to be reported, in which folder,
// from which file.
func TestABrokenManifestIsRefusedWithItsFileAndField(t *testing.T) {
	t.Parallel()
	const deployment, policies = "base/deployment.yaml", "base/networkpolicies.yaml"
	for name, tc := range map[string]struct {
		file, old, new string
		dir            string // services/payments unless it says otherwise
		origin         string // the file that is named, unless it is the file
		problem        string
		schema         bool // it is the schemas that find it
	}{
		"unknown field": {
			schema: true,
			file:   deployment, old: "serviceAccountName:", new: "serviceAccountNane:",
			problem: "spec.template.spec.serviceAccountNane: Invalid value: value provided for unknown field",
		},
		"wrong type": {
			schema: true,
			file:   deployment, old: "containerPort: 9090", new: `containerPort: "9090"`,
			problem: "spec.template.spec.containers[0].ports[1].containerPort",
		},
		"required field": {
			schema: true,
			file:   "base/servicemonitor.yaml", old: "  endpoints:\n    - port: ops\n      interval: 15s\n",
			problem: "spec.endpoints: Required value",
		},
		"unknown field of KEDA": {
			schema: true,
			file:   "components/autoscale-backlog/scaledobjects.yaml", old: "minReplicaCount", new: "minReplicas",
			dir: "overlays/with-autoscale-backlog", problem: "spec.minReplicas: Invalid value: value provided for unknown field",
		},
		"unknown field of the Prometheus operator": {
			schema: true,
			file:   "base/servicemonitor.yaml", old: "endpoints:", new: "endpoint:", problem: "spec.endpoint: Invalid value: value provided for unknown field",
		},
		"unknown field of the Worker Controller": {
			schema: true,
			file:   "orchestrator/workerdeployment.yaml", old: "deleteDelay", new: "removeDelay", dir: "orchestrator",
			problem: "spec.sunset.removeDelay: Invalid value: value provided for unknown field",
		},
		"unknown field of the orchestrator's pods": {
			schema: true,
			file:   deployment, old: "serviceAccountName:", new: "serviceAccountNane:", dir: "orchestrator",
			origin: "orchestrator/workerdeployment.yaml", problem: "template.spec.serviceAccountNane: Invalid value: value provided for unknown field",
		},
		"root": {
			file: deployment, old: "runAsNonRoot: true", new: "runAsNonRoot: false", problem: "runAsNonRoot",
		},
		"no securityContext": {
			file: "base/migration.yaml", old: "          securityContext:\n            allowPrivilegeEscalation: false\n" +
				"            readOnlyRootFilesystem: true\n            capabilities: { drop: [ALL] }\n",
			problem: "securityContext.readOnlyRootFilesystem must be true",
		},
		"writable root": {
			file: deployment, old: "readOnlyRootFilesystem: true", new: "readOnlyRootFilesystem: false",
			problem: "containers[server].securityContext.readOnlyRootFilesystem must be true",
		},
		"token of the API server": {
			file: deployment, old: "\n      automountServiceAccountToken: false", problem: "automountServiceAccountToken",
		},
		"no limit": {
			file: deployment, old: `limits: { cpu: "1", memory: 256Mi }`, new: `limits: { cpu: "1" }`,
			problem: "containers[server].resources.limits.memory must be set",
		},
		"latest": {
			file: "services/payments/kustomization.yaml", old: "newTag: 0.1.0", new: "newTag: latest", origin: deployment,
			problem: "containers[server].image orderflow/payments:latest must have a tag, and not latest",
		},
		"another tag in an overlay": {
			file: "overlays/dev/kustomization.yaml", old: "patches:",
			new: "images: [{ name: orderflow/orders, newTag: 0.2.0 }]\npatches:",
			dir: "overlays/dev", origin: "base/migration.yaml", problem: "metadata.name must end with the image's tag 0.2.0",
		},
		"secret as a value": {
			file: "services/payments/secrets.yaml",
			old:  "valueFrom: { secretKeyRef: { name: payments, key: DATABASE_URL } }", new: "value: postgres://payments",
			origin: deployment, problem: "containers[server].env[DATABASE_URL] must come from a Secret",
		},
		"secret in the settings": {
			file: "base/kustomization.yaml", old: "- LOG_LEVEL=info", new: "- PAYLOAD_KEYS=k:c2VjcmV0",
			problem: "data.PAYLOAD_KEYS must be in a Secret",
		},
		"no probe": {
			file: deployment, old: "readinessProbe:\n            httpGet: { path: /readyz, port: ops }",
			new: "readinessProbe:\n            httpGet: { path: /livez, port: ops }", problem: "readinessProbe must ask /readyz",
		},
		"killed while it drains": {
			file: deployment, old: "terminationGracePeriodSeconds: 50", new: "terminationGracePeriodSeconds: 30",
			problem: "terminationGracePeriodSeconds must be at least 46",
		},
		"longer drain": {
			file: "base/kustomization.yaml", old: "DRAIN_TIMEOUT=15s", new: "DRAIN_TIMEOUT=30s", origin: deployment,
			problem: "terminationGracePeriodSeconds must be at least 61",
		},
		"budget of nobody": {
			file: deployment, old: "maxUnavailable: 1\n  selector:\n    matchLabels: { app.kubernetes.io/component: server }",
			new:     "maxUnavailable: 1\n  selector:\n    matchLabels: { app.kubernetes.io/component: srv }",
			problem: "spec.selector must match the pods of one program",
		},
		"autoscaler of nobody": {
			file: "components/autoscale-cpu/horizontalpodautoscalers.yaml", old: "name: payments-server }",
			new: "name: payment-server }", dir: "overlays/production",
			problem: "spec.scaleTargetRef names Deployment/payment-server, which is not there",
		},
		"two autoscalers": {
			file: "overlays/production/kustomization.yaml", old: "components:\n",
			new: "components:\n  - ../../components/autoscale-backlog-workers\n", dir: "overlays/production",
			origin: deployment, problem: "spec.scaleTargetRef of more than one autoscaler names it",
		},
		"replicas": {
			file: deployment, old: "  strategy:", new: "  replicas: 3\n  strategy:", problem: "spec.replicas must not be set",
		},
		"superfluous arrow": {
			file: policies, old: "port: 7233 }]\n---", new: "port: 7233 }]\n    - ports: [{ protocol: TCP, port: 6379 }]\n---",
			problem: "spec.egress has an arrow that payments-server does not need: anywhere TCP/6379",
		},
		"missing arrow": {
			file: policies, old: "ports: [{ protocol: TCP, port: 4222 }]", new: "ports: [{ protocol: TCP, port: 4223 }]",
			problem: "spec.egress lacks an arrow that payments-server needs: namespace(kubernetes.io/metadata.name=nats) TCP/4222",
		},
		"arrow of the orchestrator to a database": {
			file: "orchestrator/kustomization.yaml", old: "patches:", dir: "orchestrator", origin: policies,
			new:     "components: [../components/database]\npatches:",
			problem: "spec.egress has an arrow that orchestrator-server does not need: namespace(kubernetes.io/metadata.name=postgresql)",
		},
		"open door": {
			file: policies, old: "        - namespaceSelector:\n            matchLabels: { orderflow.io/api-client: \"true\" }",
			new:     "        - namespaceSelector: {}",
			problem: "spec.ingress has an arrow that payments-server does not need: namespace(<none>) TCP/8080",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := manifests(t)
			addWorkersAlone(t, tree)
			content, err := tree.Read(tc.file)
			require.NoError(t, err)
			require.Contains(t, content, tc.old, "the text to break is gone")
			require.NoError(t, tree.Write(tc.file, strings.Replace(content, tc.old, tc.new, 1)))
			dir, origin := tc.dir, tc.origin
			if dir == "" {
				dir = "services/payments"
			}
			if origin == "" {
				origin = tc.file
			}
			r, err := tree.Render(dir)
			require.NoError(t, err)
			found := rules(r)
			if tc.schema {
				invalid, err := known.schemas.Check(t.Context(), r)
				require.NoError(t, err)
				found = append(found, invalid...)
			}
			var reports []string
			for _, violation := range found {
				reports = append(reports, violation.String())
				if violation.Dir == dir && strings.Contains(violation.Object, origin) &&
					strings.Contains(violation.Problem, tc.problem) {
					return
				}
			}
			t.Fatalf("no report of %s names %q, but:\n%s", origin, tc.problem, strings.Join(reports, "\n"))
		})
	}
}

// addWorkersAlone adds the component of the backlog without what it includes, which would be there twice beside the
// other component.
func addWorkersAlone(t *testing.T, tree Tree) {
	t.Helper()
	const from, to = "components/autoscale-backlog", "components/autoscale-backlog-workers"
	content, err := tree.Read(path.Join(from, "scaledobjects.yaml"))
	require.NoError(t, err)
	require.NoError(t, tree.Write(path.Join(to, "scaledobjects.yaml"), content))
	require.NoError(t, tree.Write(path.Join(to, "kustomization.yaml"),
		"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [scaledobjects.yaml]\n"))
}

// No program calls another one's API today. The day one does, both ends have to say so.
func TestACallOfAnotherProgramIsAnArrowAtBothEnds(t *testing.T) {
	t.Parallel()
	tree := manifests(t)
	calling := map[string]Reach{}
	for name, reach := range known.reaches {
		if name == "orders" {
			reach.Programs = []string{"payments"}
		}
		calling[name] = reach
	}
	reports := func() string {
		r, err := tree.Render("platform")
		require.NoError(t, err)
		var all []string
		for _, violation := range CheckArrows(r, calling) {
			all = append(all, violation.String())
		}
		return strings.Join(all, "\n")
	}
	const orders = "pods(app.kubernetes.io/component in (server),app.kubernetes.io/name in (orders)) TCP/8080"
	const payments = "pods(app.kubernetes.io/component in (server),app.kubernetes.io/name in (payments)) TCP/8080"
	missing := reports()
	require.Contains(t, missing, "spec.egress lacks an arrow that orders-server needs: "+payments)
	require.Contains(t, missing, "spec.ingress lacks an arrow that payments-server needs: "+orders)

	for from, arrow := range map[string][3]string{
		"services/orders":   {"egress", "to", "payments"},
		"services/payments": {"ingress", "from", "orders"},
	} {
		file := from + "/kustomization.yaml"
		content, err := tree.Read(file)
		require.NoError(t, err)
		// By expressions, or the labels of the kustomization would be added.
		patch := `
  - target: { kind: NetworkPolicy, name: server }
    patch: |
      - op: add
        path: /spec/` + arrow[0] + `/-
        value:
          ` + arrow[1] + `:
            - podSelector:
                matchExpressions:
                  - { key: app.kubernetes.io/component, operator: In, values: [server] }
                  - { key: app.kubernetes.io/name, operator: In, values: [` + arrow[2] + `] }
          ports: [{ protocol: TCP, port: 8080 }]
`
		require.NoError(t, tree.Write(file, strings.Replace(content, "patches:\n", "patches:"+patch, 1)))
	}
	require.Empty(t, reports())
}

func TestWhatTheCodeImportsIsWhereItGoes(t *testing.T) {
	t.Parallel()
	domain := Reach{PostgreSQL: true, NATS: true, Temporal: true}
	payments := domain
	payments.Web = true
	require.Equal(t, map[string]Reach{
		"orders": domain, "payments": payments, "inventory": domain, "shipping": domain,
		"orchestrator": {NATS: true, Temporal: true},
	}, known.reaches)
	cli, err := ReachOf(t.Context(), root, "orchestrator", "orderflow")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"orders", "payments", "inventory", "shipping"}, cli.Programs)
	require.Equal(t, []string{"DATABASE_URL", "NATS_URL", "PAYLOAD_KEYS", "STRIPE_API_KEY"}, known.secrets)
}

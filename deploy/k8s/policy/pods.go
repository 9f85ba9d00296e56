package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	admission "k8s.io/pod-security-admission/policy"
)

const (
	kindDeployment             = "Deployment"
	kindJob                    = "Job"
	kindWorkerDeployment       = "WorkerDeployment"
	kindWorkerResourceTemplate = "WorkerResourceTemplate"
)

// Pods are those that one resource of a rendering makes.
type Pods struct {
	Key

	Kind     string
	Template corev1.PodTemplateSpec
	// Deployment is nil for pods of other kinds.
	Deployment *appsv1.Deployment
}

// pods returns all that runs, ordered by name.
func (r Rendering) pods() []Pods {
	var all []Pods
	for key, d := range typed[appsv1.Deployment](r, kindDeployment) {
		all = append(all, Pods{key, kindDeployment, d.Spec.Template, &d})
	}
	for key, j := range typed[batchv1.Job](r, kindJob) {
		all = append(all, Pods{key, kindJob, j.Spec.Template, nil})
	}
	for key, w := range typed[workerDeployment](r, kindWorkerDeployment) {
		all = append(all, Pods{key, kindWorkerDeployment, w.Spec.Template, nil})
	}
	slices.SortFunc(all, func(a, b Pods) int { return strings.Compare(a.Object, b.Object) })
	return all
}

// workerDeployment is the part of the Worker Controller's resource that makes pods.
type workerDeployment struct {
	Spec struct {
		Replicas *int32                 `json:"replicas"`
		Template corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

// CheckPods holds whatever runs against Kubernetes' restricted profile and the rules of the house. secrets are the
// variables whose values nobody may read here.
func CheckPods(r Rendering, secrets []string) []Violation {
	restricted, err := admission.NewEvaluator(admission.DefaultChecks(), nil)
	if err != nil {
		panic(err) // the library's own checks contradict each other
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	var accounts []string
	for key := range typed[corev1.ServiceAccount](r, "ServiceAccount") {
		accounts = append(accounts, key.Name)
	}
	var found []Violation
	for _, p := range r.pods() {
		wrong := func(format string, args ...any) {
			found = append(found, Violation{r.Dir, p.Object, "spec.template.spec." + fmt.Sprintf(format, args...)})
		}
		spec := p.Template.Spec
		for _, result := range restricted.EvaluatePod(level, &p.Template.ObjectMeta, &spec) {
			if !result.Allowed {
				wrong("securityContext: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
			wrong("automountServiceAccountToken must be false")
		}
		if !slices.Contains(accounts, spec.ServiceAccountName) {
			wrong("serviceAccountName %q must be one of these manifests", spec.ServiceAccountName)
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			checkContainer(c, secrets, func(format string, args ...any) {
				wrong("containers[%s].%s", c.Name, fmt.Sprintf(format, args...))
			})
		}
		if p.Kind != kindJob {
			checkProbes(spec, wrong)
			checkGrace(r, spec, wrong)
		} else if tag := imageTag(spec.Containers[0].Image); !strings.HasSuffix(p.Name, "-"+tag) {
			found = append(found, Violation{r.Dir, p.Object, "metadata.name must end with the image's tag " + tag})
		}
		if p.Deployment != nil {
			rolling := p.Deployment.Spec.Strategy.RollingUpdate
			if rolling == nil || rolling.MaxUnavailable == nil || rolling.MaxUnavailable.String() != "0" {
				found = append(found, Violation{r.Dir, p.Object, "spec.strategy.rollingUpdate.maxUnavailable must be 0"})
			}
		}
	}
	return append(found, checkSecrets(r, secrets)...)
}

var released = regexp.MustCompile(`^[^:@]+(:\d+/[^:@]+)?:[\w][\w.-]*$`)

func imageTag(image string) string {
	return image[strings.LastIndex(image, ":")+1:]
}

func checkContainer(c corev1.Container, secrets []string, wrong func(string, ...any)) {
	if !released.MatchString(c.Image) || imageTag(c.Image) == "latest" {
		wrong("image %s must have a tag, and not latest", c.Image)
	}
	if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		wrong("securityContext.readOnlyRootFilesystem must be true")
	}
	for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if c.Resources.Limits.Name(resource, "").IsZero() {
			wrong("resources.limits.%s must be set", resource)
		}
		if c.Resources.Requests.Name(resource, "").IsZero() {
			wrong("resources.requests.%s must be set", resource)
		}
	}
	for _, e := range c.Env {
		if slices.Contains(secrets, e.Name) && (e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil) {
			wrong("env[%s] must come from a Secret", e.Name)
		}
	}
}

func checkProbes(spec corev1.PodSpec, wrong func(string, ...any)) {
	for _, c := range spec.Containers {
		for field, want := range map[string]struct {
			probe *corev1.Probe
			path  string
		}{
			"startupProbe":   {c.StartupProbe, "/livez"},
			"livenessProbe":  {c.LivenessProbe, "/livez"},
			"readinessProbe": {c.ReadinessProbe, "/readyz"},
		} {
			p := want.probe
			if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != want.path || p.HTTPGet.Port.String() != "ops" {
				wrong("containers[%s].%s must ask %s of the port ops", c.Name, field, want.path)
			}
		}
	}
}

const (
	// relayBatch is how long the relay's last batch may take after all else has drained, and opsDrain how long the ops
	// port after that: batchTimeout of pkg/outbox, and pkg/service.
	relayBatch, opsDrain = 20 * time.Second, time.Second
	graceMargin          = 5 * time.Second
)

// checkGrace sees to it that no program is killed while it drains.
func checkGrace(r Rendering, spec corev1.PodSpec, wrong func(string, ...any)) {
	drain := relayBatch + opsDrain
	for _, name := range []string{"DRAIN_DELAY", "DRAIN_TIMEOUT"} {
		value := setting(r, spec.Containers[0], name)
		d, err := time.ParseDuration(value)
		if err != nil {
			wrong("containers[%s].env: %s must be set to a duration and is %q", spec.Containers[0].Name, name, value)
			return
		}
		drain += d
	}
	if need := int64((drain + graceMargin).Seconds()); spec.TerminationGracePeriodSeconds == nil ||
		*spec.TerminationGracePeriodSeconds < need {
		wrong("terminationGracePeriodSeconds must be at least %d: a drain takes up to %s", need, drain)
	}
}

// setting returns the value that a container's variable has, "" where it comes from a Secret or is not set.
func setting(r Rendering, c corev1.Container, name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	for key, m := range typed[corev1.ConfigMap](r, "ConfigMap") {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil && from.ConfigMapRef.Name == key.Name && m.Data[name] != "" {
				return m.Data[name]
			}
		}
	}
	return ""
}

// sets says whether a container has a variable, wherever its value comes from.
func sets(r Rendering, c corev1.Container, name string) bool {
	return setting(r, c, name) != "" || slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
}

func checkSecrets(r Rendering, secrets []string) []Violation {
	var found []Violation
	for _, o := range r.Objects {
		if o.GetKind() == "Secret" {
			found = append(found, Violation{r.Dir, o.String(), "kind: secrets are referred to, never contained"})
		}
	}
	for key, m := range typed[corev1.ConfigMap](r, "ConfigMap") {
		for name := range m.Data {
			if slices.Contains(secrets, name) {
				found = append(found, Violation{r.Dir, key.Object, "data." + name + " must be in a Secret"})
			}
		}
	}
	return found
}

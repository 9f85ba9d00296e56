package policy

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// CheckScaling sees to it that what selects pods selects some, that each server is in one disruption budget and one
// Service, and that no two autoscalers have the same target. An autoscaler's target has no replicas of its own.
func CheckScaling(r Rendering) []Violation {
	var found []Violation
	wrong := func(object, format string, args ...any) {
		found = append(found, Violation{r.Dir, object, fmt.Sprintf(format, args...)})
	}
	selecting := map[string][]Key{} // by selector field, of each server in turn
	var servers []Pods
	for _, p := range r.pods() {
		if p.Kind != kindJob {
			servers = append(servers, p)
		}
	}
	matches := func(selector *metav1.LabelSelector, p Pods) bool {
		s, err := metav1.LabelSelectorAsSelector(selector)
		return err == nil && !s.Empty() && s.Matches(labels.Set(p.Template.Labels))
	}
	checkSelector := func(key Key, selector *metav1.LabelSelector, kind string) {
		var selected []string
		for _, p := range r.pods() {
			if matches(selector, p) {
				selected = append(selected, p.Name)
				selecting[kind+p.Object] = append(selecting[kind+p.Object], key)
			}
		}
		if len(selected) != 1 {
			wrong(key.Object, "spec.selector must match the pods of one program, and matches those of [%s]",
				strings.Join(selected, " "))
		}
	}
	for key, b := range typed[policyv1.PodDisruptionBudget](r, "PodDisruptionBudget") {
		checkSelector(key, b.Spec.Selector, "PodDisruptionBudget")
	}
	for key, s := range typed[corev1.Service](r, "Service") {
		checkSelector(key, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}, "Service")
	}
	scalers := map[string][]string{} // by target
	for key, target := range r.scalers() {
		scalers[target] = append(scalers[target], key.Object)
	}
	for _, p := range servers {
		for _, kind := range []string{"PodDisruptionBudget", "Service"} {
			if n := len(selecting[kind+p.Object]); n != 1 {
				wrong(p.Object, "metadata.labels must be matched by spec.selector of one %s, and are by that of %d", kind, n)
			}
		}
		target := ref(p.Kind, p.Name)
		if by := scalers[target]; len(by) > 1 {
			wrong(p.Object, "spec.scaleTargetRef of more than one autoscaler names it: %s", strings.Join(by, ", "))
		}
		if p.Deployment != nil {
			if !matches(p.Deployment.Spec.Selector, p) {
				wrong(p.Object, "spec.selector does not match spec.template.metadata.labels")
			}
			if p.Deployment.Spec.Replicas != nil {
				wrong(p.Object, "spec.replicas must not be set: to apply it would undo what an autoscaler decided")
			}
		}
		delete(scalers, target)
	}
	for target, by := range scalers {
		wrong(by[0], "spec.scaleTargetRef names %s, which is not there", target)
	}
	return append(found, checkMonitors(r)...)
}

// scalers returns the target of each autoscaler.
func (r Rendering) scalers() map[Key]string {
	targets := map[Key]string{}
	for key, h := range typed[autoscalingv2.HorizontalPodAutoscaler](r, "HorizontalPodAutoscaler") {
		targets[key] = ref(h.Spec.ScaleTargetRef.Kind, h.Spec.ScaleTargetRef.Name)
	}
	type named struct {
		Name string `json:"name"`
	}
	type scaledObject struct {
		Spec struct {
			ScaleTargetRef named `json:"scaleTargetRef"`
		} `json:"spec"`
	}
	for key, s := range typed[scaledObject](r, "ScaledObject") {
		targets[key] = ref(kindDeployment, s.Spec.ScaleTargetRef.Name)
	}
	type resourceTemplate struct {
		Spec struct {
			WorkerDeploymentRef named `json:"workerDeploymentRef"`
		} `json:"spec"`
	}
	for key, w := range typed[resourceTemplate](r, kindWorkerResourceTemplate) {
		targets[key] = ref(kindWorkerDeployment, w.Spec.WorkerDeploymentRef.Name)
	}
	return targets
}

// checkMonitors sees to it that each ServiceMonitor finds one Service that has its port.
func checkMonitors(r Rendering) []Violation {
	type serviceMonitor struct {
		Spec struct {
			Selector  metav1.LabelSelector `json:"selector"`
			Endpoints []struct {
				Port string `json:"port"`
			} `json:"endpoints"`
		} `json:"spec"`
	}
	var found []Violation
	for key, m := range typed[serviceMonitor](r, "ServiceMonitor") {
		selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
		services := 0
		for _, s := range typed[corev1.Service](r, "Service") {
			if err != nil || !selector.Matches(labels.Set(s.Labels)) {
				continue
			}
			for _, port := range s.Spec.Ports {
				if len(m.Spec.Endpoints) == 1 && port.Name == m.Spec.Endpoints[0].Port {
					services++
				}
			}
		}
		if services != 1 {
			found = append(found, Violation{r.Dir, key.Object, fmt.Sprintf(
				"spec.selector and spec.endpoints must find one port of one Service, and find %d", services,
			)})
		}
	}
	return found
}

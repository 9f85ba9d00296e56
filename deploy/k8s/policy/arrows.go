package policy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Arrow is a way that packets may take: who is at the other end, and the port, which is the receiver's.
type Arrow struct{ Peer, Port string }

func (a Arrow) String() string { return a.Peer + " " + a.Port }

// The arrows that there may be, beside those between programs.
var (
	toPostgreSQL   = Arrow{"namespace(kubernetes.io/metadata.name=postgresql)", "TCP/5432"}
	toNATS         = Arrow{"namespace(kubernetes.io/metadata.name=nats)", "TCP/4222"}
	toTemporal     = Arrow{"namespace(kubernetes.io/metadata.name=temporal)", "TCP/7233"}
	toTheWeb       = Arrow{"0.0.0.0/0 but " + privateNetworks, "TCP/443"}
	toDNS          = dns("UDP/53")
	toDNSByTCP     = dns("TCP/53")
	fromClients    = Arrow{"namespace(orderflow.io/api-client=true)", "TCP/8080"}
	fromPrometheus = Arrow{"namespace(kubernetes.io/metadata.name=monitoring)", "TCP/9090"}
)

const privateNetworks = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,100.64.0.0/10"

func dns(port string) Arrow {
	return Arrow{"namespace(kubernetes.io/metadata.name=kube-system) pods(k8s-app in (kube-dns))", port}
}

const (
	labelName      = "app.kubernetes.io/name"
	labelComponent = "app.kubernetes.io/component"
)

// program returns the arrow to, or from, the API of a program of ours. Like DNS it is selected by expressions.
func program(name string) Arrow {
	return Arrow{"pods(" + labelComponent + " in (server)," + labelName + " in (" + name + "))", "TCP/8080"}
}

// CheckArrows compares what the network policies allow with what the programs need: servers what Reaches says of their
// code, migrations what their settings name. An arrow too many is as wrong as one too few.
func CheckArrows(r Rendering, reaches map[string]Reach) []Violation {
	var found []Violation
	for _, p := range r.pods() {
		name := p.Template.Labels[labelName]
		needs := []Arrow{toDNS, toDNSByTCP}
		var admits []Arrow
		if p.Kind == kindJob {
			for variable, arrow := range byVariable {
				if sets(r, p.Template.Spec.Containers[0], variable) {
					needs = append(needs, arrow)
				}
			}
		} else {
			reach, known := reaches[name]
			if !known {
				found = append(found, Violation{r.Dir, p.Object, "metadata.labels: no program is called " + name})
				continue
			}
			needs = append(needs, reach.arrows()...)
			admits = []Arrow{fromClients, fromPrometheus}
			for caller, reach := range reaches {
				if slices.Contains(reach.Programs, name) {
					admits = append(admits, program(caller))
				}
			}
			for variable, arrow := range byVariable {
				if has := sets(r, p.Template.Spec.Containers[0], variable); has != slices.Contains(needs, arrow) &&
					p.Kind != kindWorkerDeployment { // whose controller sets some
					found = append(found, Violation{r.Dir, p.Object, fmt.Sprintf(
						"spec.template.spec.containers[0].env: %s is set: %t, but the code goes there: %t", variable, has, !has)})
				}
			}
		}
		found = append(found, r.compare(p, networkingv1.PolicyTypeEgress, "spec.egress", needs)...)
		found = append(found, r.compare(p, networkingv1.PolicyTypeIngress, "spec.ingress", admits)...)
	}
	return found
}

// byVariable says where a setting leads.
var byVariable = map[string]Arrow{"DATABASE_URL": toPostgreSQL, "NATS_URL": toNATS, "TEMPORAL_ADDRESS": toTemporal}

// compare reports how the policies of one direction differ from the arrows that p needs.
func (r Rendering) compare(p Pods, direction networkingv1.PolicyType, field string, need []Arrow) []Violation {
	var (
		found    []Violation
		allowed  = map[Arrow]string{} // the policy that allows it
		policies []string
	)
	for key, n := range typed[networkingv1.NetworkPolicy](r, "NetworkPolicy") {
		selector, err := metav1.LabelSelectorAsSelector(&n.Spec.PodSelector)
		if err != nil || !selector.Matches(labels.Set(p.Template.Labels)) ||
			!slices.Contains(n.Spec.PolicyTypes, direction) {
			continue
		}
		policies = append(policies, key.Object)
		if direction == networkingv1.PolicyTypeEgress {
			for _, rule := range n.Spec.Egress {
				for _, a := range arrows(rule.To, rule.Ports, nil) {
					allowed[a] = key.Object
				}
			}
		} else {
			for _, rule := range n.Spec.Ingress {
				for _, a := range arrows(rule.From, rule.Ports, p.Template.Spec.Containers) {
					allowed[a] = key.Object
				}
			}
		}
	}
	if len(policies) == 0 {
		return []Violation{{r.Dir, p.Object, field + ": no NetworkPolicy limits it"}}
	}
	slices.Sort(policies)
	for _, a := range need {
		if _, ok := allowed[a]; !ok {
			found = append(found, Violation{r.Dir, strings.Join(policies, ", "), field + " lacks an arrow that " + p.Name +
				" needs: " + a.String()})
		}
		delete(allowed, a)
	}
	for a, policy := range allowed {
		problem := field + " has an arrow that " + p.Name + " does not need: " + a.String()
		found = append(found, Violation{r.Dir, policy, problem})
	}
	return found
}

// arrows returns the arrows of one rule. No peers, or no ports, are all of them. Ports may have the names that
// containers give them.
func arrows(
	peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, containers []corev1.Container,
) []Arrow {
	ends := []string{"anywhere"}
	if len(peers) > 0 {
		ends = nil
		for _, p := range peers {
			ends = append(ends, peer(p))
		}
	}
	numbers := []string{"any port"}
	if len(ports) > 0 {
		numbers = nil
		for _, p := range ports {
			numbers = append(numbers, port(p, containers))
		}
	}
	var all []Arrow
	for _, end := range ends {
		for _, number := range numbers {
			all = append(all, Arrow{end, number})
		}
	}
	return all
}

func peer(p networkingv1.NetworkPolicyPeer) string {
	if b := p.IPBlock; b != nil {
		return strings.TrimSuffix(b.CIDR+" but "+strings.Join(b.Except, ","), " but ")
	}
	var parts []string
	if p.NamespaceSelector != nil {
		parts = append(parts, "namespace("+metav1.FormatLabelSelector(p.NamespaceSelector)+")")
	}
	if p.PodSelector != nil {
		parts = append(parts, "pods("+metav1.FormatLabelSelector(p.PodSelector)+")")
	}
	return strings.Join(parts, " ")
}

func port(p networkingv1.NetworkPolicyPort, containers []corev1.Container) string {
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = *p.Protocol
	}
	if p.Port == nil {
		return string(protocol) + "/any"
	}
	number := p.Port.String()
	for _, c := range containers {
		for _, named := range c.Ports {
			if named.Name == number {
				number = fmt.Sprint(named.ContainerPort)
			}
		}
	}
	if p.EndPort != nil {
		number += fmt.Sprintf("-%d", *p.EndPort)
	}
	return string(protocol) + "/" + number
}

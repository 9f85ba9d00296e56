package contracttest

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/errs"
)

// offer is the form of testdata/contract.json: all the names by which others know a contract. `make compat` reads it,
// and that of the release before.
type offer struct {
	Stream           *stream              `json:"stream,omitempty"`
	Activities       map[string]call      `json:"activities,omitempty"`
	Workflows        map[string]call      `json:"workflows,omitempty"`
	Signals          map[string]call      `json:"signals,omitempty"`
	Queries          map[string]call      `json:"queries,omitempty"`
	Updates          map[string]call      `json:"updates,omitempty"`
	Events           map[string]string    `json:"events,omitempty"`
	Failures         map[string]errs.Kind `json:"failures,omitempty"`
	SearchAttributes map[string]string    `json:"search_attributes,omitempty"`
	Deprecated       []string             `json:"deprecated,omitempty"`
}

type stream struct {
	Name     string   `json:"name"`
	Subjects []string `json:"subjects"`
}

// call is something that others call. Request and Response name the golden files of the wire types.
type call struct {
	Queue        string   `json:"queue,omitempty"`
	ID           string   `json:"id,omitempty"`
	StartToClose string   `json:"start_to_close,omitempty"`
	Heartbeat    string   `json:"heartbeat,omitempty"`
	Final        []string `json:"final,omitempty"`
	Request      string   `json:"request,omitempty"`
	Response     string   `json:"response,omitempty"`
}

// wireTypes are the golden files that o names.
func (o offer) wireTypes() []string {
	var names []string
	for _, calls := range []map[string]call{o.Activities, o.Workflows, o.Signals, o.Queries, o.Updates} {
		for _, c := range calls {
			names = append(names, c.Request, c.Response)
		}
	}
	for _, data := range o.Events {
		names = append(names, data)
	}
	return names
}

// Item is one thing that a contract offers.
type Item func(*offer)

// Contract checks that what a package offers is what is kept in testdata/contract.json, and that each wire type of it
// has its golden file, named as the type in snake case. Run the test with -update after an additive change.
func Contract(t *testing.T, items ...Item) {
	t.Helper()
	var o offer
	for _, item := range items {
		item(&o)
	}
	Golden(t, "contract", o)
	if *update {
		return // The golden files of the wire types may still be on their way.
	}
	for _, name := range o.wireTypes() {
		if name != "" {
			_, err := os.Stat(filepath.Join("testdata", name+".json"))
			require.NoError(t, err, "every wire type of a contract is pinned by Golden")
		}
	}
}

// Stream is where the events are.
func Stream(s contract.Stream) Item {
	return func(o *offer) { o.Stream = &stream{Name: s.Name, Subjects: s.Subjects} }
}

// Activity is offered to sagas.
func Activity[Req, Res any](a contract.Activity[Req, Res]) Item {
	c := call{
		Queue: a.Queue, StartToClose: a.StartToClose.String(), Request: wireType[Req](), Response: wireType[Res](),
	}
	if a.Heartbeat > 0 {
		c.Heartbeat = a.Heartbeat.String()
	}
	for _, failure := range a.Final {
		c.Final = append(c.Final, failure.Code)
	}
	return func(o *offer) { set(&o.Activities, a.Name, c) }
}

// Workflow is started by its type on a queue; id is the form of its identifiers.
func Workflow[Req, Res any](name, queue, id string) Item {
	c := call{Queue: queue, ID: id, Request: wireType[Req](), Response: wireType[Res]()}
	return func(o *offer) { set(&o.Workflows, name, c) }
}

// Signal is taken by the workflow.
func Signal[Req any](name string) Item {
	return func(o *offer) { set(&o.Signals, name, call{Request: wireType[Req]()}) }
}

// Query is answered by the workflow.
func Query[Res any](name string) Item {
	return func(o *offer) { set(&o.Queries, name, call{Response: wireType[Res]()}) }
}

// Update is taken and answered by the workflow.
func Update[Req, Res any](name string) Item {
	return func(o *offer) { set(&o.Updates, name, call{Request: wireType[Req](), Response: wireType[Res]()}) }
}

// SearchAttribute is what workflows are found by.
func SearchAttribute(key temporal.SearchAttributeKey) Item {
	return func(o *offer) { set(&o.SearchAttributes, key.GetName(), key.GetValueType().String()) }
}

// Event is published.
func Event[T any](e contract.Event[T]) Item {
	return func(o *offer) { set(&o.Events, e.Type, wireType[T]()) }
}

// Failures are what callers decide by.
func Failures(failures ...*errs.Error) Item {
	return func(o *offer) {
		for _, f := range failures {
			set(&o.Failures, f.Code, f.Kind)
		}
	}
}

// Deprecated are names that no program uses any more. The release after the one that says so may do without them.
func Deprecated(names ...string) Item {
	return func(o *offer) { o.Deprecated = append(o.Deprecated, names...) }
}

func set[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

var wordStart = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// wireType names the golden file of a type: AuthorizeRequest is authorize_request.
func wireType[T any]() string {
	return strings.ToLower(wordStart.ReplaceAllString(reflect.TypeFor[T]().Name(), "${1}_$2"))
}

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/openapitest"
	orders "github.com/orderflow/orderflow/services/orders/client"
)

// TestEveryBadInputIsRefusedAndChangesNothing sends every operation of every document everything that the document
// forbids, so that a new operation is tested by being written down. It is not parallel, because it compares all books
// before and after.
func TestEveryBadInputIsRefusedAndChangesNothing(t *testing.T) { //nolint:paralleltest // See above.
	c := ordersClient(t, platform)
	for _, o := range []orders.NewOrder{newOrder("pm_card_visa", berlin), newOrder("pm_card_chargeDeclined", berlin)} {
		id, err := place(t.Context(), c, o)
		require.NoError(t, err)
		end(t, c, id, time.Minute)
	}
	docs := documents(t)
	var before map[string][]any
	require.Eventually(t, func() bool { // Lists that follow the truth catch up first.
		last := before
		before = books(t, docs)
		return last != nil && equal(t, before, last)
	}, time.Minute, 2*time.Second)

	calls := 0
	for service, spec := range docs {
		v := visitor{t: t, service: service, client: http.Client{Transport: openapitest.Transport(t, spec, nil), Timeout: time.Minute}}
		for _, op := range operationsOf(service, spec) {
			key := uuid.NewString()
			good := op.sample(t, key)
			for _, d := range op.defects(t, good) {
				v.refuses(op, d)
				calls++
			}
			for _, id := range op.strangers(before) {
				d := good
				d.path = op.fill(op.path, op.in(openapi3.ParameterInPath)[0].Name, id)
				v.refuses(op, defect{"id " + id, d, http.StatusNotFound, "", ""})
				calls++
			}
			if op.method == http.MethodGet && !strings.Contains(op.path, "{") {
				status, _, body := v.send(good)
				require.Equal(t, http.StatusOK, status, "%s refuses the sample that the others differ from: %s", op, body)
			}
		}
		for path, item := range spec.Paths.Map() {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				if item.GetOperation(method) == nil {
					op := operation{service: service, method: method, path: path}
					r := request{method: method, path: strings.NewReplacer("{", "", "}", "").Replace(path), header: http.Header{}}
					v.refuses(op, defect{"method", r, http.StatusMethodNotAllowed, "method_not_allowed", ""})
				}
			}
		}
		nowhere := request{method: http.MethodGet, path: "/v1/nowhere", header: http.Header{}}
		v.refuses(operation{service: service, method: http.MethodGet}, defect{"path", nowhere, http.StatusNotFound, "route_not_found", ""})
	}
	t.Logf("%d bad calls", calls)
	for list, rows := range books(t, docs) {
		require.Equal(t, before[list], rows, "%s has changed", list)
	}
}

// visitor is a client of one service that means ill.
type visitor struct {
	t       *testing.T
	service string
	client  http.Client
}

func (v visitor) send(r request) (status int, header http.Header, body []byte) {
	v.t.Helper()
	target := platform.URLs[v.service] + r.path
	if r.query != "" {
		target += "?" + r.query
	}
	req, err := http.NewRequestWithContext(v.t.Context(), r.method, target, bytes.NewReader(r.body))
	require.NoError(v.t, err)
	req.Header = r.header.Clone()
	res, err := v.client.Do(req)
	require.NoError(v.t, err, "%s %s", r.method, r.path)
	defer func() { require.NoError(v.t, res.Body.Close()) }()
	body, err = io.ReadAll(res.Body)
	require.NoError(v.t, err)
	return res.StatusCode, res.Header, body
}

// problem is what every refusal shows.
type problem struct {
	Status                    int
	Type, Title, Detail       string
	Code, Instance            string
	Errors                    []struct{ Pointer, Code, Message string }
	contentType, allowed, raw string
}

func (v visitor) problem(r request) (p problem) {
	v.t.Helper()
	status, header, body := v.send(r)
	p.contentType, p.allowed, p.raw = header.Get("Content-Type"), header.Get("Allow"), string(body)
	if status < http.StatusBadRequest || json.Unmarshal(body, &p) != nil {
		p = problem{raw: string(body), contentType: p.contentType}
	}
	p.Status = status
	return p
}

func (v visitor) refuses(op operation, d defect) {
	v.t.Helper()
	p := v.problem(d.call)
	pointers := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		pointers[i] = e.Pointer
	}
	why := ""
	switch {
	case p.Status < 400 || p.Status > 499:
		why = "is no 4xx"
	case p.contentType != "application/problem+json":
		why = "is a " + p.contentType
	case p.Code == "" || !strings.HasPrefix(p.Instance, "/") || p.Title == "" || p.Detail == "" || p.Type == "":
		why = "is incomplete"
	case d.status != 0 && p.Status != d.status:
		why = fmt.Sprintf("is no %d", d.status)
	case d.code != "" && p.Code != d.code:
		why = "is not " + d.code
	case d.pointer != "" && !slices.Contains(pointers, d.pointer):
		why = "does not point at " + d.pointer
	case p.Status == http.StatusMethodNotAllowed && p.allowed == "":
		why = "does not say what is allowed"
	default:
		return
	}
	v.t.Errorf("%s with %s: %d %s %s", op, d.name, p.Status, p.raw, why)
}

// books returns all rows of all lists of all services, by address.
func books(t *testing.T, docs map[string]*openapi3.T) map[string][]any {
	t.Helper()
	all := map[string][]any{}
	for service, spec := range docs {
		v := visitor{t: t, service: service, client: http.Client{Timeout: time.Minute}}
		for _, op := range operationsOf(service, spec) {
			r := op.sample(t, "")
			if op.method != http.MethodGet || strings.Contains(op.path, "{") || r.query != "" {
				continue
			}
			rows := []any{}
			for cursor := ""; ; {
				page := r
				if cursor != "" {
					page = r.asking("cursor", url.QueryEscape(cursor))
				}
				status, _, body := v.send(page)
				require.Equal(t, http.StatusOK, status, "%s: %s", op, body)
				var answer struct {
					Items []any
					Next  string `json:"next_cursor"`
				}
				require.NoError(t, json.Unmarshal(body, &answer))
				if answer.Items == nil { // It is no list, but there is one of it.
					rows = append(rows, string(body))
				}
				rows = append(rows, answer.Items...)
				if cursor = answer.Next; cursor == "" {
					break
				}
			}
			all[service+" "+op.path] = rows
		}
	}
	return all
}

func equal(t *testing.T, a, b any) bool {
	t.Helper()
	return bytes.Equal(encode(t, a), encode(t, b))
}

// strangers returns identifiers that are not of what the operation is about: of other things that there are, and some
// that nothing has. It returns none for what comes into being when it is named.
func (op operation) strangers(known map[string][]any) (ids []string) {
	list, parameter, found := strings.Cut(op.path, "/{")
	if !found || op.method == http.MethodPut || strings.Count(op.path, "{") > 1 {
		return nil
	}
	parameter, _, _ = strings.Cut(parameter, "}")
	own := map[string]bool{}
	for _, row := range known[op.service+" "+list] {
		own[identifier(row, parameter)] = true
	}
	for address, rows := range known {
		for _, row := range rows {
			if id := identifier(row, "id"); id != "" && !own[id] && !strings.HasSuffix(address, " "+list) {
				ids = append(ids, url.PathEscape(id))
			}
		}
	}
	for id := range own {
		if len(id) > 12 {
			ids = append(ids, url.PathEscape(id[:len(id)-12]+"000000000000"))
		}
	}
	return append(ids, "nonsense", "ord_", "0", "00000000-0000-0000-0000-000000000000")
}

func identifier(row any, property string) string {
	object, _ := row.(map[string]any)
	id, _ := object[property].(string)
	return id
}

func statusAndCode(p problem) string { return fmt.Sprint(p.Status, " ", p.Code) }

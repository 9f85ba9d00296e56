package httpserver_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/httpserver"
	"github.com/orderflow/orderflow/pkg/httpserver/internal/widgets"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/page"
	"github.com/orderflow/orderflow/pkg/problem"
)

// widgetServer is a service as services are: strict handlers behind New.
type widgetServer struct {
	mu     sync.Mutex
	calls  int
	create func(context.Context, widgets.CreateWidgetRequestObject) (widgets.CreateWidgetResponseObject, error)
	get    func(ctx context.Context, id string) (widgets.GetWidgetResponseObject, error)
}

var errNoWidget = errs.New(errs.NotFound, "widget_not_found", "There is no such widget.")

func (s *widgetServer) called() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
}

func (s *widgetServer) reached() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *widgetServer) ListWidgets(
	_ context.Context, r widgets.ListWidgetsRequestObject,
) (widgets.ListWidgetsResponseObject, error) {
	s.called()
	if r.Params.Cursor != nil {
		if _, err := page.Decode(*r.Params.Cursor, "", time.Now()); err != nil {
			return nil, err
		}
	}
	return widgets.ListWidgets200JSONResponse{Items: []widgets.Widget{}}, nil
}

func (s *widgetServer) CreateWidget(
	ctx context.Context, r widgets.CreateWidgetRequestObject,
) (widgets.CreateWidgetResponseObject, error) {
	s.called()
	if s.create != nil {
		return s.create(ctx, r)
	}
	return widgets.CreateWidget201JSONResponse{
		Body: widgets.Widget{
			ID: "w1", CustomerID: r.Body.CustomerID, Price: r.Body.Price, CreatedAt: time.Unix(0, 0).UTC(),
		},
		Headers: widgets.CreateWidget201ResponseHeaders{Location: "/v1/widgets/w1"},
	}, nil
}

func (s *widgetServer) ImportWidgets(
	_ context.Context, r widgets.ImportWidgetsRequestObject,
) (widgets.ImportWidgetsResponseObject, error) {
	s.called()
	reader, n := csv.NewReader(r.Body), 0
	for {
		_, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return widgets.ImportWidgets200JSONResponse{Imported: n}, nil
		}
		if err != nil {
			return nil, err
		}
		n++
	}
}

func (s *widgetServer) GetWidget(
	ctx context.Context, r widgets.GetWidgetRequestObject,
) (widgets.GetWidgetResponseObject, error) {
	s.called()
	if s.get != nil {
		return s.get(ctx, r.ID)
	}
	return nil, errNoWidget
}

type bundle struct {
	url    string
	server *widgetServer
	client *http.Client // checks every answer against the document
	log    *logBuffer
}

func setup(t *testing.T, edit ...func(*httpserver.Config)) bundle {
	t.Helper()
	spec, err := widgets.GetSpec()
	require.NoError(t, err)
	log := &logBuffer{}
	cfg := httpserver.Config{Spec: spec, Log: slog.New(slog.NewJSONHandler(log, nil))}
	for _, e := range edit {
		e(&cfg)
	}
	server := &widgetServer{}
	e := httpserver.New(cfg)
	widgets.RegisterHandlers(e, widgets.NewStrictHandler(server, nil))
	ts := httptest.NewServer(e)
	t.Cleanup(ts.Close)
	base := &http.Transport{ExpectContinueTimeout: time.Minute}
	t.Cleanup(base.CloseIdleConnections)
	return bundle{
		url: ts.URL, server: server, log: log,
		client: &http.Client{Transport: openapitest.Transport(t, spec, base)},
	}
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// request is a good POST /v1/widgets until something is changed.
type request struct {
	method string
	target string
	body   io.Reader
	header map[string]string // an empty value removes the header
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b bundle) do(t *testing.T, r request) answer {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.target == "" {
		r.target = "/v1/widgets"
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, b.url+r.target, r.body)
	require.NoError(t, err)
	if r.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", "key-1")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	res, err := b.client.Do(req)
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{status: res.StatusCode, header: res.Header, body: string(body)}
}

func (b bundle) problem(t *testing.T, r request) (answer, problem.Details) {
	t.Helper()
	got := b.do(t, r)
	require.Equal(t, problem.ContentType, got.header.Get("Content-Type"), got.body)
	var d problem.Details
	require.NoError(t, json.Unmarshal([]byte(got.body), &d))
	require.Equal(t, got.status, d.Status)
	return got, d
}

const goodWidget = `{"customer_id":"c1","price":{"amount":100,"currency":"EUR"},"parts":[{"sku":"a","quantity":1}]}`

func text(s string) io.Reader { return strings.NewReader(s) }

func good(old, replacement string) io.Reader {
	changed := strings.Replace(goodWidget, old, replacement, 1)
	if changed == goodWidget {
		panic("nothing changed: " + old)
	}
	return text(changed)
}

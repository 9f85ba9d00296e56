package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/orchestrator/internal/app"
	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/eventbus/natstest"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/pkg/service"
)

const (
	patience = 20 * time.Second
	theUI    = "http://temporal.example"
)

// Whatever the orchestrator starts has ended when Run returns. It finds no Temporal here, whatever else runs on the
// machine.
func TestMain(m *testing.M) {
	if err := os.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// process is the orchestrator as a process would run it.
type process struct {
	api, ops string
	keys     seal.Keyring
	client   *http.Client
	stop     context.CancelFunc
	ended    chan error
}

func start(t *testing.T, natsURL, codecOrigin string) process {
	t.Helper()
	cfg := app.Config{EdgeConfig: service.EdgeConfig{
		NATSURL: config.Secret(natsURL), HTTPAddr: freeAddr(t), OpsAddr: freeAddr(t),
		PayloadKeys: config.Secret(seal.NewKey("test")), DrainTimeout: 10 * time.Second,
	}, CompensationAttempts: 1, CodecOrigin: codecOrigin}
	require.NoError(t, cfg.Validate())
	keys, err := seal.ParseKeyring(cfg.PayloadKeys.Reveal())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	p := process{
		api: "http://" + cfg.HTTPAddr, ops: "http://" + cfg.OpsAddr, keys: keys, stop: stop, ended: make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	go func() { p.ended <- app.Run(ctx, slog.New(slog.DiscardHandler), cfg) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-p.ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("the orchestrator does not end")
		}
	})
	for _, url := range []string{p.ops + "/livez", p.api + "/"} {
		require.Eventually(t, func() bool { status, _ := p.get(t, url); return status != 0 }, patience, time.Millisecond)
	}
	return p
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

// do sends a request and returns the answer; status 0 where there was none.
func (p process) do(t *testing.T, method, url, origin string, body io.Reader) (status int, header http.Header, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ = io.ReadAll(res.Body)
	return res.StatusCode, res.Header, answer
}

func (p process) get(t *testing.T, url string) (int, []byte) {
	t.Helper()
	status, _, answer := p.do(t, http.MethodGet, url, "", nil)
	return status, answer
}

func TestTheOrchestratorStaysUpWhileNATSAndTemporalAreAway(t *testing.T) {
	t.Parallel()
	bus := natstest.Start(t)
	bus.Kill()
	p := start(t, bus.URL(), "")
	failing := func() map[string]any {
		status, answer := p.get(t, p.ops+"/readyz")
		require.Equal(t, http.StatusServiceUnavailable, status)
		var ready struct{ Failing map[string]any }
		require.NoError(t, json.Unmarshal(answer, &ready))
		return ready.Failing
	}
	require.Contains(t, failing(), "nats")
	require.Contains(t, failing(), "worker")
	status, answer := p.get(t, p.api+"/v1/sagas")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, string(answer), "temporal_unavailable")
	status, metrics := p.get(t, p.ops+"/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(metrics), "http_request_duration_seconds")

	bus.Restart()
	require.Eventually(t, func() bool { return failing()["nats"] == nil }, patience, 10*time.Millisecond)
	require.Contains(t, failing(), "worker")
}

// codec is the Temporal UI's part of the conversation.
func (p process) codec(origin string) converter.PayloadCodec {
	return converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
		Endpoint: p.api + "/v1/codec", Client: *p.client,
		ModifyRequest: func(r *http.Request) error {
			r.Header.Set("Origin", origin)
			return nil
		},
	})
}

func TestPayloadsAreDecodedForTheTemporalUIAlone(t *testing.T) {
	t.Parallel()
	p := start(t, natstest.Start(t).URL(), theUI)
	plain, err := converter.GetDefaultDataConverter().ToPayloads("Invalidenstr. 116")
	require.NoError(t, err)
	sealed, err := p.keys.Codec().Encode(plain.GetPayloads())
	require.NoError(t, err)
	require.NotContains(t, string(sealed[0].GetData()), "Invalidenstr.")

	shown, err := p.codec(theUI).Decode(sealed)
	require.NoError(t, err)
	require.JSONEq(t, `"Invalidenstr. 116"`, string(shown[0].GetData()))

	for _, origin := range []string{"", "null", "http://evil.example", theUI + ".evil.example", strings.ToUpper(theUI)} {
		_, err = p.codec(origin).Decode(sealed)
		require.ErrorContains(t, err, "Forbidden", origin)
	}
	sealed[0].Data = append(sealed[0].Data, 0)
	_, err = p.codec(theUI).Decode(sealed)
	require.ErrorContains(t, err, "Bad Request")
}

func TestTheCodecTellsABrowserWhoMayAsk(t *testing.T) {
	t.Parallel()
	p := start(t, natstest.Start(t).URL(), theUI)
	url := p.api + "/v1/codec/decode"
	status, header, _ := p.do(t, http.MethodOptions, url, "http://evil.example", nil)
	require.Equal(t, http.StatusNoContent, status)
	require.Equal(t, theUI, header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Origin", header.Get("Vary"))

	for name, body := range map[string]io.Reader{
		"nothing":  nil,
		"nonsense": strings.NewReader("nonsense"),
		"too much": bytes.NewReader(bytes.Repeat([]byte(" "), 9<<20)),
	} {
		status, _, _ := p.do(t, http.MethodPost, url, theUI, body)
		require.Equal(t, http.StatusBadRequest, status, name)
	}
	status, _, _ = p.do(t, http.MethodGet, url, theUI, nil)
	require.Equal(t, http.StatusNotFound, status)
}

func TestWithoutAnOriginThereIsNoCodec(t *testing.T) {
	t.Parallel()
	p := start(t, natstest.Start(t).URL(), "")
	for _, origin := range []string{"", theUI} {
		status, _, answer := p.do(t, http.MethodPost, p.api+"/v1/codec/decode", origin, strings.NewReader("{}"))
		require.Equal(t, http.StatusNotFound, status)
		require.Contains(t, string(answer), "route_not_found")
	}
}

func TestABusyPortEndsTheOrchestratorWithAReason(t *testing.T) {
	t.Parallel()
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, busy.Close()) }()
	edge := service.EdgeConfig{
		NATSURL: "nats://127.0.0.1:1", PayloadKeys: config.Secret(seal.NewKey("test")), DrainTimeout: time.Second,
	}
	for _, ports := range [][2]string{{busy.Addr().String(), freeAddr(t)}, {freeAddr(t), busy.Addr().String()}} {
		edge.HTTPAddr, edge.OpsAddr = ports[0], ports[1]
		err := app.Run(t.Context(), slog.New(slog.DiscardHandler), app.Config{EdgeConfig: edge, CompensationAttempts: 1})
		require.ErrorContains(t, err, "address already in use")
	}
}

func TestSettingsThatDoNotFitAreNamedTogether(t *testing.T) {
	t.Parallel()
	good := app.Config{EdgeConfig: service.EdgeConfig{
		NATSURL: "nats://127.0.0.1", PayloadKeys: config.Secret(seal.NewKey("test")), DrainTimeout: time.Second,
	}, CompensationAttempts: 1}
	require.NoError(t, good.Validate())
	for name, tc := range map[string]struct {
		change func(*app.Config)
		wrong  []string
	}{
		"no time to drain":   {func(c *app.Config) { c.DrainTimeout = 0 }, []string{"DRAIN_TIMEOUT"}},
		"negative drain":     {func(c *app.Config) { c.DrainTimeout = -1 }, []string{"DRAIN_TIMEOUT"}},
		"no attempt":         {func(c *app.Config) { c.CompensationAttempts = 0 }, []string{"COMPENSATION_ATTEMPTS"}},
		"key without a name": {func(c *app.Config) { c.PayloadKeys = "c2hvcnQ=" }, []string{"PAYLOAD_KEYS"}},
		"short key":          {func(c *app.Config) { c.PayloadKeys = "k:c2hvcnQ=" }, []string{"PAYLOAD_KEYS"}},
		"everything": {
			func(c *app.Config) { c.DrainTimeout, c.CompensationAttempts, c.PayloadKeys = 0, -1, "" },
			[]string{"DRAIN_TIMEOUT", "COMPENSATION_ATTEMPTS", "PAYLOAD_KEYS"},
		},
	} {
		cfg := good
		tc.change(&cfg)
		err := cfg.Validate()
		for _, variable := range tc.wrong {
			require.ErrorContains(t, err, variable, name)
		}
		require.NotContains(t, err.Error(), "c2hvcnQ=", "a key is shown")
	}
}

func TestTheProgramSaysInOneSentenceWhyItCannotStart(t *testing.T) {
	for name, tc := range map[string]struct {
		args, env []string
		code      int
		sentences []string
	}{
		"nothing to do":    {nil, nil, 2, []string{"usage: orchestrator healthcheck | migrate up | serve | version"}},
		"unknown command":  {[]string{"dance"}, nil, 2, []string{"usage: orchestrator healthcheck | migrate up | serve | version"}},
		"no settings":      {[]string{"serve"}, nil, 1, []string{"NATS_URL", "PAYLOAD_KEYS"}},
		"no number":        {[]string{"serve"}, []string{"COMPENSATION_ATTEMPTS", "many"}, 1, []string{"CompensationAttempts"}},
		"Temporal is away": {[]string{"migrate", "up"}, nil, 1, []string{"register search attributes"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(tc.env); i += 2 {
				t.Setenv(tc.env[i], tc.env[i+1])
			}
			var logs, problems bytes.Buffer
			require.Equal(t, tc.code, service.Execute(t.Context(), "orchestrator", tc.args, app.Commands(), &logs, &problems))
			require.Equal(t, 1, strings.Count(problems.String(), "\n"), "one sentence: %s", &problems)
			for _, sentence := range tc.sentences {
				require.Contains(t, problems.String(), sentence)
			}
		})
	}
}

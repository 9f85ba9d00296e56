// Package temporalclient connects a program to Temporal the way all of Orderflow does: settings from TEMPORAL_*
// variables, sealed payloads, and workers that wait for a server which is not there yet.
package temporalclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/seal"
)

// Dial returns a client that connects on first use, so that a program starts while Temporal is away. The SDK's metrics
// go to the registry, which may be nil.
func Dial(logger *slog.Logger, keys seal.Keyring, registry prometheus.Registerer) (client.Client, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fmt.Errorf("temporalclient: settings: %w", err)
	}
	opts.Logger = log.NewStructuredLogger(logger)
	opts.DataConverter = DataConverter(keys)
	if opts.Interceptors, err = tracer(); err != nil {
		return nil, err
	}
	if registry != nil {
		if opts.MetricsHandler, err = metricsHandler(registry, logger); err != nil {
			return nil, err
		}
	}
	c, err := client.NewLazyClient(opts)
	if err != nil {
		return nil, fmt.Errorf("temporalclient: %w", err)
	}
	return c, nil
}

// Namespace returns the namespace that TEMPORAL_* settings name.
func Namespace() (string, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return "", fmt.Errorf("temporalclient: settings: %w", err)
	}
	return cmp.Or(opts.Namespace, client.DefaultNamespace), nil
}

// DataConverter is the platform's: JSON, sealed.
func DataConverter(keys seal.Keyring) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), keys.Codec())
}

// Worker polls one task queue for as long as its program runs, whatever happens to the server meanwhile.
type Worker struct {
	client   client.Client
	queue    string
	options  worker.Options
	register func(worker.Registry)
	log      *slog.Logger
	running  atomic.Bool
}

// NewWorker returns a worker that is told by register what it can run. options.WorkerStopTimeout is how long it lets
// running activities finish when it is asked to stop; it must be set, because the SDK's default is not to wait.
func NewWorker(
	c client.Client, queue string, options worker.Options, log *slog.Logger, register func(worker.Registry),
) *Worker {
	return &Worker{client: c, queue: queue, options: options, register: register, log: log.With("queue", queue)}
}

// Run polls until ctx ends, then drains. While Temporal cannot be reached it tries again and again.
func (w *Worker) Run(ctx context.Context) error {
	if w.options.WorkerStopTimeout <= 0 {
		return errors.New("temporalclient: WorkerStopTimeout must be set")
	}
	const maxPause = 5 * time.Second
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, maxPause) {
		if err := w.poll(ctx); ctx.Err() == nil {
			w.log.WarnContext(ctx, "worker is not polling; trying again", "error", err, "pause", pause)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// poll makes a new SDK worker each time, because one that failed to start cannot be started again.
func (w *Worker) poll(ctx context.Context) error {
	if err := w.reachable(ctx); err != nil {
		return err
	}
	sdk := worker.New(w.client, w.queue, w.options)
	w.register(sdk)
	interrupt := make(chan any)
	stop := context.AfterFunc(ctx, func() { close(interrupt) })
	defer stop()

	w.running.Store(true)
	defer w.running.Store(false)
	return sdk.Run(interrupt)
}

func (w *Worker) reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := w.client.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

// Ready fails until the worker polls.
func (w *Worker) Ready(context.Context) error {
	if !w.running.Load() {
		return errNotPolling
	}
	return nil
}

var errNotPolling = errs.New(errs.Unavailable, "worker_not_polling", "The worker is not connected to Temporal.")

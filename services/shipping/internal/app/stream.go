package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/services/shipping"
)

// streamKeeper makes the service's stream as soon as NATS can be reached.
type streamKeeper struct {
	js   jetstream.JetStream
	log  *slog.Logger
	made atomic.Bool
}

var errNoStream = errs.New(errs.Unavailable, "stream_missing", "The service's stream has not been made yet.")

func (k *streamKeeper) ready(context.Context) error {
	if !k.made.Load() {
		return errNoStream
	}
	return nil
}

func (k *streamKeeper) run(ctx context.Context) error {
	for {
		err := eventbus.EnsureStream(ctx, k.js, shipping.Stream)
		if err == nil {
			k.made.Store(true)
			return nil
		}
		if ctx.Err() == nil {
			k.log.WarnContext(ctx, "stream is not there yet; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryStream):
		}
	}
}

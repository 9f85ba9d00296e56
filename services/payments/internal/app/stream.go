package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/orderflow/orderflow/pkg/errs"
	"github.com/orderflow/orderflow/pkg/eventbus"
	"github.com/orderflow/orderflow/services/payments"
)

// How often the stream is looked after: while it is not there, and so that one which an operator lost comes back.
const (
	streamRetry = time.Second
	streamCheck = time.Minute
)

var errNoStream = errs.New(errs.Unavailable, "stream_not_ensured", "The stream of events is not there yet.")

// stream keeps the JetStream stream of the service's events in existence.
type stream struct {
	js      jetstream.JetStream
	log     *slog.Logger
	ensured atomic.Bool
}

// keep works until ctx ends.
func (s *stream) keep(ctx context.Context) error {
	for {
		pause := streamCheck
		if err := eventbus.EnsureStream(ctx, s.js, payments.Stream); err == nil {
			s.ensured.Store(true)
		} else if ctx.Err() == nil {
			s.log.WarnContext(ctx, "the stream of events cannot be ensured; trying again", "error", err)
			pause = streamRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// ready fails until the stream was there once.
func (s *stream) ready(context.Context) error {
	if !s.ensured.Load() {
		return errNoStream
	}
	return nil
}

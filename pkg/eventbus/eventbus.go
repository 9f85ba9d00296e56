// Package eventbus carries CloudEvents over NATS JetStream: it connects, declares streams, and consumes events at least
// once, without losing one and without letting one block the others. Publishing is the outbox's part. It must not know
// any event.
package eventbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	neturl "net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/orderflow/orderflow/pkg/contract"
)

const (
	// retention is how long a stream keeps an event, and so how long a consumer may be away without missing one.
	retention = 7 * 24 * time.Hour

	// deadLetterRetention leaves people time to look at what no program could handle.
	deadLetterRetention = 90 * 24 * time.Hour

	// dedupeWindow is how long a stream drops a message whose id it has seen. A relay that died between publishing and
	// marking is replaced within seconds; what comes later than this is caught by the consumers' inbox. The server
	// keeps every id of the window in memory, about 100 bytes each, which forbids to be generous.
	dedupeWindow = 10 * time.Minute
)

// Connect connects to NATS under a name that the server shows to operators. It does not wait for the server: like a
// lost connection, the first one is tried again for ever, so that a service can start before NATS. It fails only on a
// URL that cannot be read. ctx is used for logging only; nc.Close or nc.Drain ends the connection.
func Connect(ctx context.Context, url, name string, log *slog.Logger) (*nats.Conn, error) {
	nc, err := nats.Connect(url,
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		// Notices a server that vanished without a word after 20 s.
		nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2),
		// Credentials that are refused are being changed somewhere. Without this the client gives up for good after the
		// second refusal, and nothing would be published until somebody restarts the program.
		nats.IgnoreAuthErrorAbort(),
		// Publishing fails at once while disconnected. The outbox keeps the events; a second buffer, in memory, would
		// only send them twice.
		nats.ReconnectBufSize(-1),
		nats.ConnectHandler(func(nc *nats.Conn) {
			log.InfoContext(ctx, "connected to NATS", "url", nc.ConnectedUrlRedacted())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when the program closes the connection itself
				log.WarnContext(ctx, "lost the connection to NATS", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.InfoContext(ctx, "reconnected to NATS", "url", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.WarnContext(ctx, "NATS reported an error", "error", err)
		}),
	)
	if unreadable, ok := errors.AsType[*neturl.Error](err); ok {
		err = unreadable.Err // without the URL, which may hold a password
	}
	if err != nil {
		return nil, fmt.Errorf("eventbus: connect to NATS: %w", err)
	}
	return nc, nil
}

// EnsureStream creates the stream, or brings it up to date. Replicas and placement of an existing stream are left as
// operators have set them. It does not try again while NATS is away; the caller does.
//
// The stream keeps events for seven days. It has no limit in bytes, because a stream that is full drops its oldest
// event, which may be an order that was accepted; when the server's storage is used up, publishing fails, and the
// events wait in the outbox.
func EnsureStream(ctx context.Context, js jetstream.JetStream, stream contract.Stream) error {
	return ensureStream(ctx, js, stream, retention)
}

func ensureStream(ctx context.Context, js jetstream.JetStream, stream contract.Stream, maxAge time.Duration) error {
	cfg := jetstream.StreamConfig{
		Name:       stream.Name,
		Subjects:   stream.Subjects,
		Storage:    jetstream.FileStorage,
		MaxAge:     maxAge,
		Duplicates: dedupeWindow,
	}
	existing, err := js.Stream(ctx, stream.Name)
	switch {
	case err == nil:
		current := existing.CachedInfo().Config
		cfg.Replicas, cfg.Placement = current.Replicas, current.Placement
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("eventbus: look up stream %s: %w", stream.Name, err)
	}
	if _, err := js.CreateOrUpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("eventbus: ensure stream %s: %w", stream.Name, err)
	}
	return nil
}

// Ready returns an error while the server cannot be reached, for a readiness check.
func Ready(nc *nats.Conn) error {
	if !nc.IsConnected() {
		return fmt.Errorf("eventbus: the connection to NATS is %s", strings.ToLower(nc.Status().String()))
	}
	return nil
}

package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// listen wakes the relay whenever a transaction in any process adds events. It has a connection of its own, because it
// would keep one of the pool's for ever.
func (r *Relay) listen(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		started := time.Now()
		err := r.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > lastWait {
			failures = 0
		}
		failures++
		if failures%logEvery == 1 {
			r.log.WarnContext(ctx, "the outbox relay does not hear of new events and polls", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(backOff(failures)):
		}
	}
}

func (r *Relay) listenOnce(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, r.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen outbox"); err != nil {
		return err
	}
	for {
		r.Wake() // at first for what was added before anyone listened
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// every calls do at once and then at this interval, until ctx ends.
func (r *Relay) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "cannot "+what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// observe measures the backlog. It does so apart from publishing, because it matters most when nothing can be
// published.
func (r *Relay) observe(ctx context.Context) error {
	var rows, age float64
	err := r.pool.QueryRow(ctx, `
		select count(*)::float8, coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8
		from outbox where published_at is null`).Scan(&rows, &age)
	if err != nil {
		return err
	}
	r.metrics.backlog.Set(rows)
	r.metrics.oldest.Set(age)
	return nil
}

// sweep removes events that were published long ago, some at a time, so that no transaction gets long. It looks only at
// the oldest, because the age has no index: a table that is written on the hot path should have few.
func (r *Relay) sweep(ctx context.Context) error {
	for {
		tag, err := r.pool.Exec(ctx, `
			delete from outbox
			where seq in (select seq from outbox order by seq limit 10000)
			and published_at < clock_timestamp() - $1::interval`, keepPublished)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
	}
}

// metrics tells operators whether events get out. Each relay of a service reports the same backlog.
type metrics struct {
	backlog   prometheus.Gauge
	oldest    prometheus.Gauge
	published prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) metrics {
	factory := promauto.With(registry)
	return metrics{
		backlog: factory.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_backlog_rows",
			Help: "Events that are committed and not yet published.",
		}),
		oldest: factory.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_oldest_age_seconds",
			Help: "Age of the oldest event that is committed and not yet published.",
		}),
		published: factory.NewCounter(prometheus.CounterOpts{
			Name: "outbox_published_total",
			Help: "Events that this process has published.",
		}),
	}
}

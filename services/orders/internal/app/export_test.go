package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/orderflow/orderflow/pkg/service"
)

// RunWatching is Run with a watchdog that tests can wait for.
func RunWatching(ctx context.Context, log *slog.Logger, cfg service.Config, every, silence time.Duration) error {
	return run(ctx, log, cfg, watchdog{every: every, silence: silence})
}

package endings_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/orders/internal/endings"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func heard(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("nothing was heard")
	}
}

func TestEveryWaiterOfAnOrderHearsThatItSettled(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	board := endings.NewBoard(pool.Config().ConnConfig, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	first, leaveFirst := board.Watch("ord_1")
	second, leaveSecond := board.Watch("ord_1")
	other, leaveOther := board.Watch("ord_2")
	defer leaveSecond()
	defer leaveOther()

	ended := make(chan error, 1)
	go func() { ended <- board.Run(ctx) }()
	for _, c := range []<-chan struct{}{first, second, other} {
		heard(t, c) // Whoever came before the board listened looks once.
	}
	notify := func(orderID string) {
		_, err := pool.Exec(t.Context(), "SELECT pg_notify($1, $2)", endings.Channel, orderID)
		require.NoError(t, err)
	}
	notify("ord_1")
	heard(t, first)
	heard(t, second)
	require.Empty(t, other)

	leaveFirst()
	notify("ord_1")
	heard(t, second)
	require.Empty(t, first, "who left hears nothing")

	stop()
	require.NoError(t, <-ended)
}

func TestTheBoardListensAgainAfterItsConnectionIsLost(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	board := endings.NewBoard(pool.Config().ConnConfig, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	changed, leave := board.Watch("ord_1")
	defer leave()
	ended := make(chan error, 1)
	go func() { ended <- board.Run(ctx) }()
	heard(t, changed)
	_, err := pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN %'`)
	require.NoError(t, err)
	heard(t, changed)

	stop()
	require.NoError(t, <-ended)
}

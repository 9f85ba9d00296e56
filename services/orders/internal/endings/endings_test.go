package endings_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/services/orders/internal/endings"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// books are what all replicas see.
type books struct {
	mu      sync.Mutex
	settled []string
	broken  error
	asked   [][]string
}

func (b *books) look(_ context.Context, orderIDs []string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(orderIDs)
	b.asked = append(b.asked, orderIDs)
	settled := slices.DeleteFunc(slices.Clone(orderIDs), func(id string) bool { return !slices.Contains(b.settled, id) })
	return settled, b.broken
}

func (b *books) settle(orderID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = append(b.settled, orderID)
}

// after waits until n more looks have begun.
func (b *books) after(t *testing.T, n int) {
	t.Helper()
	looks := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.asked)
	}
	began := looks()
	require.Eventually(t, func() bool { return looks() >= began+n }, patience, time.Millisecond)
}

func setup(t *testing.T) (*endings.Board, *books) {
	t.Helper()
	all := &books{}
	board := endings.NewBoard(all.look, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- board.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return board, all
}

func heard(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("nothing was heard")
	}
}

func TestEveryWaiterOfAnOrderHearsThatAnotherReplicaSettledIt(t *testing.T) {
	t.Parallel()
	board, all := setup(t)
	first, leaveFirst := board.Watch("ord_1")
	second, leaveSecond := board.Watch("ord_1")
	other, leaveOther := board.Watch("ord_2")
	defer leaveFirst()
	defer leaveSecond()
	defer leaveOther()
	all.after(t, 1)
	all.settle("ord_1")
	heard(t, first)
	heard(t, second)
	require.Empty(t, other)
}

func TestWaitersHearAtOnceOfWhatTheirOwnProcessSettled(t *testing.T) {
	t.Parallel()
	board := endings.NewBoard(nil, slog.New(slog.DiscardHandler)) // It never looks.
	settled, leave := board.Watch("ord_1")
	defer leave()
	board.Settled("ord_1")
	board.Settled("ord_1", "ord_2")
	heard(t, settled)
	require.Empty(t, settled)
}

func TestNobodyLooksForOrdersThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	board, all := setup(t)
	_, leaveFirst := board.Watch("ord_1")
	_, leaveSecond := board.Watch("ord_2")
	lookedFor := func(orderIDs ...string) {
		t.Helper()
		all.after(t, 2) // the second of them began after the change
		all.mu.Lock()
		defer all.mu.Unlock()
		require.Equal(t, orderIDs, all.asked[len(all.asked)-1])
	}
	lookedFor("ord_1", "ord_2")
	leaveFirst()
	lookedFor("ord_2")
	leaveSecond()
	_, leaveThird := board.Watch("ord_3")
	defer leaveThird()
	lookedFor("ord_3")
}

func TestALookThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	board, all := setup(t)
	all.mu.Lock()
	all.broken = errors.New("away")
	all.mu.Unlock()
	settled, leave := board.Watch("ord_1")
	defer leave()
	all.after(t, 2)
	all.mu.Lock()
	all.broken = nil
	all.mu.Unlock()
	all.settle("ord_1")
	heard(t, settled)
}

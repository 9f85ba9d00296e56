package payment_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/idempotency"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
	"github.com/orderflow/orderflow/services/payments/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a payments service on a real database, with the sandbox as its provider and a network between them that
// can be told to fail.
type bundle struct {
	t       *testing.T
	pool    *pgxpool.Pool
	sandbox *sandbox.Gateway
	network *network
	clock   *clock
	svc     *payment.Service
}

const (
	timeout = 2 * time.Second
	margin  = 10 * time.Second
)

func setup(t *testing.T) *bundle {
	t.Helper()
	pool := pgtest.New(t, outbox.Schema, store.Migrations, sandbox.Migrations)
	sb := sandbox.New(pool)
	b := &bundle{t: t, pool: pool, sandbox: sb, network: &network{Gateway: sb}, clock: &clock{}}
	b.svc = payment.NewService(payment.Config{
		Pool: pool, Gateway: b.network, Timeout: timeout, Margin: margin, Now: b.clock.now,
	})
	return b
}

// clock is the real one plus what a test has let pass.
type clock struct {
	mu     sync.Mutex
	passed time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.passed)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// attemptsEnd lets so much time pass that no call made before can still be under way.
func (b *bundle) attemptsEnd() { b.clock.pass(timeout + margin + time.Second) }

// order is one order's way through the service.
type order struct {
	*bundle
	id, customer, token string
	amount              money.Money
}

func (b *bundle) order(token string) *order {
	return &order{bundle: b, id: id.New(id.Order), customer: id.New("cus"), token: token, amount: money.Of(1999, "EUR")}
}

func (o *order) request() payments.AuthorizeRequest {
	return payments.AuthorizeRequest{OrderID: o.id, CustomerID: o.customer, Amount: o.amount, Token: o.token}
}

func (o *order) authorize() (payments.Authorization, error) {
	return o.svc.Authorize(o.t.Context(), o.request())
}

func (o *order) capture() (payments.Captured, error) {
	return o.svc.Capture(o.t.Context(), payments.CaptureRequest{OrderID: o.id})
}

func (o *order) cancel() (payments.Cancellation, error) {
	return o.svc.Cancel(o.t.Context(), payments.CancelRequest{OrderID: o.id})
}

// refund asks for a refund as an HTTP client does; amount 0 is all that is left.
func (o *order) refund(key string, amount int64) (payment.Refund, error) {
	ctx := caller.With(o.t.Context(), caller.Caller{Subject: "anna", Scopes: []string{caller.ScopeAll}})
	ctx = idempotency.WithRequest(ctx, idempotency.Request{Caller: "anna", Key: key, Fingerprint: []byte{byte(amount)}})
	return o.svc.Refund(ctx, payment.RefundRequest{PaymentID: o.row().ID, Amount: amount, Reason: "It came broken."})
}

func (o *order) authorized() *order {
	o.t.Helper()
	_, err := o.authorize()
	require.NoError(o.t, err)
	return o
}

func (o *order) captured() *order {
	o.t.Helper()
	o.authorized()
	_, err := o.capture()
	require.NoError(o.t, err)
	return o
}

// row is the payment in our books.
func (o *order) row() payment.Payment {
	o.t.Helper()
	list, err := o.svc.Payments(o.t.Context(), payment.Filter{OrderID: o.id}, nil, 2)
	require.NoError(o.t, err)
	require.Len(o.t, list, 1)
	return list[0]
}

func (o *order) requireState(want payment.State) {
	o.t.Helper()
	require.Equal(o.t, want, o.row().State)
}

// charge is the provider's only charge for the order.
func (o *order) charge() sandbox.Charge {
	o.t.Helper()
	list := o.charges()
	require.Len(o.t, list, 1)
	return list[0]
}

func (o *order) charges() []sandbox.Charge {
	o.t.Helper()
	list, err := o.sandbox.Charges(o.t.Context(), o.id, nil, 10)
	require.NoError(o.t, err)
	return list
}

// requireNothingHeld checks at the provider that no money of the order is set aside or taken.
func (o *order) requireNothingHeld() {
	o.t.Helper()
	for _, c := range o.charges() {
		require.NotEqual(o.t, "authorized", c.Status, "money is still set aside")
		require.Equal(o.t, c.Captured, c.Refunded, "money is still taken")
	}
}

// events are the types of the events published about the order, in order.
func (o *order) events() []string {
	o.t.Helper()
	rows, err := o.pool.Query(context.Background(),
		`SELECT subject FROM outbox WHERE convert_from(payload, 'UTF8')::jsonb->>'subject' = $1 ORDER BY seq`, o.id)
	require.NoError(o.t, err)
	defer rows.Close()
	var types []string
	for rows.Next() {
		var s string
		require.NoError(o.t, rows.Scan(&s))
		types = append(types, s)
	}
	require.NoError(o.t, rows.Err())
	return types
}

func (o *order) exposure() int64 {
	o.t.Helper()
	var amount int64
	require.NoError(o.t, o.pool.QueryRow(context.Background(),
		`SELECT COALESCE(sum(amount), 0)::bigint FROM exposure WHERE customer_id = $1`, o.customer).Scan(&amount))
	return amount
}

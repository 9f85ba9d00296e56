package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/id"
	"github.com/orderflow/orderflow/pkg/money"
	"github.com/orderflow/orderflow/pkg/openapitest"
	"github.com/orderflow/orderflow/pkg/outbox"
	"github.com/orderflow/orderflow/pkg/postgres/pgtest"
	"github.com/orderflow/orderflow/services/payments"
	"github.com/orderflow/orderflow/services/payments/client"
	"github.com/orderflow/orderflow/services/payments/internal/gateway/sandbox"
	"github.com/orderflow/orderflow/services/payments/internal/httpapi"
	"github.com/orderflow/orderflow/services/payments/internal/payment"
	"github.com/orderflow/orderflow/services/payments/internal/store"
)

func TestTheDocumentKeepsTheHouseStyle(t *testing.T) {
	t.Parallel()
	spec, err := httpapi.GetSpec()
	require.NoError(t, err)
	openapitest.HouseStyle(t, spec)
}

func TestAPaymentIsShownWithItsRefunds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay, order := b.captured()
	made, err := b.CreateRefundWithResponse(t.Context(), pay, &client.CreateRefundParams{IdempotencyKey: "k1"},
		client.NewRefund{Amount: ptr(int64(500)), Reason: "It came broken."})
	require.NoError(t, err)
	require.NotNil(t, made.JSON201, "%s", made.Body)
	require.Equal(t, client.Succeeded, made.JSON201.State)
	require.Equal(t, "development", made.JSON201.RequestedBy)
	require.Equal(t, "/v1/payments/"+pay, made.HTTPResponse.Header.Get("Location"))

	got, err := b.GetPaymentWithResponse(t.Context(), pay)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, "%s", got.Body)
	p := got.JSON200
	require.Equal(t, order, p.OrderID)
	require.Equal(t, "cus_1", *p.CustomerID)
	require.Equal(t, client.PaymentStatePartiallyRefunded, p.State)
	require.Equal(t, client.Money{Amount: 1999, Currency: "EUR"}, p.Amount)
	require.Equal(t, int64(1999), p.Captured)
	require.Equal(t, int64(500), p.Refunded)
	require.Nil(t, p.Decline)
	require.Equal(t, []client.Refund{*made.JSON201}, p.Refunds)
}

func TestARefundIsMadeOnceByKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay, _ := b.captured()
	refund := func(key string, body client.NewRefund) *client.CreateRefundHTTPResponse {
		res, err := b.CreateRefundWithResponse(t.Context(), pay, &client.CreateRefundParams{IdempotencyKey: key}, body)
		require.NoError(t, err)
		return res
	}
	first := refund("k", client.NewRefund{Amount: ptr(int64(500)), Reason: "r"})
	again := refund(`"k"`, client.NewRefund{Amount: ptr(int64(500)), Reason: "r"})
	require.Equal(t, first.JSON201, again.JSON201)

	reused := refund("k", client.NewRefund{Amount: ptr(int64(501)), Reason: "r"})
	require.Equal(t, http.StatusUnprocessableEntity, reused.StatusCode())
	require.Equal(t, "idempotency_key_reused", reused.ApplicationProblemJSONDefault.Code)
	large := refund("k2", client.NewRefund{Amount: ptr(int64(1500)), Reason: "r"})
	require.Equal(t, http.StatusConflict, large.StatusCode())
	require.Equal(t, "refund_too_large", large.ApplicationProblemJSONDefault.Code)

	rest := refund("k2", client.NewRefund{Reason: "r"})
	require.Equal(t, int64(1499), rest.JSON201.Amount.Amount)
	none := refund("k3", client.NewRefund{Reason: "r"})
	require.Equal(t, "payment_not_refundable", none.ApplicationProblemJSONDefault.Code)
}

// deaf loses the first answer to a refund.
type deaf struct {
	*sandbox.Gateway

	lost bool
}

func (d *deaf) Refund(ctx context.Context, call payment.RefundCall) error {
	err := d.Gateway.Refund(ctx, call)
	if !d.lost {
		d.lost = true
		return errors.New("connection reset")
	}
	return err
}

func TestARefundWhoseAnswerIsLostIsPendingUntilItIsAskedForAgain(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, outbox.Schema, store.Migrations, sandbox.Migrations)
	sb := sandbox.New(pool)
	b := serve(t, pool, &deaf{Gateway: sb}, sb)
	pay, order := b.captured()
	refund := func() *client.CreateRefundHTTPResponse {
		res, err := b.CreateRefundWithResponse(t.Context(), pay, &client.CreateRefundParams{IdempotencyKey: "k"},
			client.NewRefund{Reason: "r"})
		require.NoError(t, err)
		return res
	}
	lost := refund()
	require.Equal(t, http.StatusServiceUnavailable, lost.StatusCode())
	require.Equal(t, "payment_outcome_unknown", lost.ApplicationProblemJSONDefault.Code)
	require.NotEmpty(t, lost.HTTPResponse.Header.Get("Retry-After"))
	got, err := b.GetPaymentWithResponse(t.Context(), pay)
	require.NoError(t, err)
	require.Equal(t, client.Pending, got.JSON200.Refunds[0].State)

	require.Equal(t, client.Succeeded, refund().JSON201.State)
	books, err := b.ListSandboxChargesWithResponse(t.Context(), &client.ListSandboxChargesParams{OrderID: &order})
	require.NoError(t, err)
	require.Equal(t, int64(1999), books.JSON200.Items[0].Refunded)
}

func TestPaymentsAreListedInPagesNewestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var ids []string
	for i := range 5 {
		pay, _ := b.authorized([]string{"anna", "otto"}[i%2], sandbox.TokenVisa)
		ids = append([]string{pay}, ids...)
	}
	_, declined := b.decline()
	list := func(p client.ListPaymentsParams) []string {
		var found []string
		p.Limit = ptr(2)
		for {
			res, err := b.ListPaymentsWithResponse(t.Context(), &p)
			require.NoError(t, err)
			require.NotNil(t, res.JSON200, "%s", res.Body)
			require.LessOrEqual(t, len(res.JSON200.Items), 2)
			for _, item := range res.JSON200.Items {
				found = append(found, item.ID)
			}
			if p.Cursor = res.JSON200.NextCursor; p.Cursor == nil {
				return found
			}
		}
	}
	require.Equal(t, append([]string{declined}, ids...), list(client.ListPaymentsParams{}))
	require.Equal(t, ids, list(client.ListPaymentsParams{State: ptr(client.PaymentStateAuthorized)}))
	require.Equal(t, []string{ids[0], ids[2], ids[4]}, list(client.ListPaymentsParams{CustomerID: ptr("anna")}))
	require.Equal(t, []string{ids[1], ids[3]},
		list(client.ListPaymentsParams{CustomerID: ptr("otto"), State: ptr(client.PaymentStateAuthorized)}))
	require.Empty(t, list(client.ListPaymentsParams{CustomerID: ptr("otto"), State: ptr(client.PaymentStateCaptured)}))
	require.Empty(t, list(client.ListPaymentsParams{OrderID: ptr("ord_nobody")}))
}

// decline returns the order and the payment of one that the issuer declined.
func (b *bundle) decline() (orderID, paymentID string) {
	b.t.Helper()
	orderID = id.New(id.Order)
	_, err := b.svc.Authorize(b.t.Context(), payments.AuthorizeRequest{
		OrderID: orderID, CustomerID: "cus_1", Amount: money.Of(1, "EUR"), Token: sandbox.TokenInsufficientFunds,
	})
	require.ErrorIs(b.t, err, payments.ErrInsufficientFunds)
	res, err := b.ListPaymentsWithResponse(b.t.Context(), &client.ListPaymentsParams{OrderID: &orderID})
	require.NoError(b.t, err)
	require.Len(b.t, res.JSON200.Items, 1)
	return orderID, res.JSON200.Items[0].ID
}

func TestADeclineIsShownInWordsForCustomers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, pay := b.decline()
	got, err := b.GetPaymentWithResponse(t.Context(), pay)
	require.NoError(t, err)
	require.Equal(t, client.PaymentStateDeclined, got.JSON200.State)
	require.Equal(t, payments.ErrInsufficientFunds.Code, got.JSON200.Decline.Code)
	require.Equal(t, payments.ErrInsufficientFunds.Message, got.JSON200.Decline.Message)
	require.Empty(t, got.JSON200.Refunds)
}

func TestAnOrderCancelledBeforeItWasPaidIsShown(t *testing.T) {
	t.Parallel()
	b, order := setup(t), id.New(id.Order)
	_, err := b.svc.Cancel(t.Context(), payments.CancelRequest{OrderID: order})
	require.NoError(t, err)
	res, err := b.ListPaymentsWithResponse(t.Context(), &client.ListPaymentsParams{OrderID: &order})
	require.NoError(t, err)
	p := res.JSON200.Items[0]
	require.Equal(t, client.PaymentStateVoided, p.State)
	require.Nil(t, p.CustomerID)
	require.Equal(t, client.Money{Amount: 0, Currency: "XXX"}, p.Amount)
}

func TestFraudSettingsAreReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set, err := b.SetFraudSettingsWithResponse(t.Context(), client.NewFraudSettings{
		Limits: []client.Money{{Amount: 100_000, Currency: "EUR"}}, Maintenance: true,
	})
	require.NoError(t, err)
	require.NotNil(t, set.JSON200, "%s", set.Body)
	got, err := b.GetFraudSettingsWithResponse(t.Context())
	require.NoError(t, err)
	require.Equal(t, set.JSON200, got.JSON200)
	require.Equal(t, "development", got.JSON200.UpdatedBy)
	set, err = b.SetFraudSettingsWithResponse(t.Context(), client.NewFraudSettings{Limits: []client.Money{}})
	require.NoError(t, err)
	require.Empty(t, set.JSON200.Limits)
	require.False(t, set.JSON200.Maintenance)
}

func TestTheSandboxShowsItsBooksAndEndsItsOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, order := b.authorized("cus_1", sandbox.TokenVoidDown)
	b.captured()
	b.captured()
	outage, err := b.GetSandboxOutageWithResponse(t.Context())
	require.NoError(t, err)
	require.True(t, outage.JSON200.Void)
	_, err = b.svc.Cancel(t.Context(), payments.CancelRequest{OrderID: order})
	require.ErrorIs(t, err, payments.ErrProviderUnavailable)
	ended, err := b.SetSandboxOutageWithResponse(t.Context(), client.SandboxOutage{Void: false})
	require.NoError(t, err)
	require.False(t, ended.JSON200.Void)
	_, err = b.svc.Cancel(t.Context(), payments.CancelRequest{OrderID: order})
	require.NoError(t, err)

	all, err := b.ListSandboxChargesWithResponse(t.Context(), &client.ListSandboxChargesParams{Limit: ptr(2)})
	require.NoError(t, err)
	require.Len(t, all.JSON200.Items, 2)
	last, err := b.ListSandboxChargesWithResponse(t.Context(),
		&client.ListSandboxChargesParams{Limit: ptr(2), Cursor: all.JSON200.NextCursor})
	require.NoError(t, err)
	require.Nil(t, last.JSON200.NextCursor)
	require.Len(t, last.JSON200.Items, 1)
	charge := last.JSON200.Items[0]
	require.Equal(t, order, charge.OrderID)
	require.Equal(t, client.SandboxChargeStatusVoided, charge.Status)
	require.Equal(t, int64(1999), charge.Voided)
}

func TestWithoutTheSandboxThereIsNoSandbox(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, outbox.Schema, store.Migrations)
	b := serve(t, pool, nil, nil)
	for _, r := range []request{
		{method: http.MethodGet, path: "/v1/sandbox/outage"},
		{method: http.MethodGet, path: "/v1/sandbox/charges"},
		{method: http.MethodPut, path: "/v1/sandbox/outage", body: `{"void":false}`},
	} {
		status, d := b.send(r)
		require.Equal(t, http.StatusNotFound, status)
		require.Equal(t, "sandbox_not_in_use", d.Code)
	}
}

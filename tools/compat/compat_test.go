package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	sagaDir      = "orchestrator/internal/saga"
	paymentsAPI  = "services/payments/openapi.yaml"
	paymentsList = "services/payments/testdata/contract.json"
	shippingList = "services/shipping/testdata/contract.json"
	sagaList     = sagaDir + "/testdata/contract.json"
)

// edit changes a file of the working tree: it replaces old by new everywhere, or removes the file where both are empty.
type edit struct{ file, old, new string }

func TestWhatBreaksSomebodyIsRefused(t *testing.T) {
	t.Parallel()
	release := released(t)
	for name, c := range map[string]struct {
		edit edit
		says string
	}{
		"request field removed": {
			edit{"services/payments/testdata/authorize_request.json", `,
  "token": "pm_card_visa"`, ""},
			"payments/Authorize: request field `token` was removed: " +
				"sagas that the released orchestrator started still send it",
		},
		"request field within another removed": {
			edit{"services/payments/testdata/authorize_request.json", `,
    "currency": "EUR"`, ""},
			"payments/Authorize: request field `amount.currency` was removed: " +
				"sagas that the released orchestrator started still send it",
		},
		"request field renamed": {
			edit{"services/inventory/testdata/reserve_request.json", `"quantity"`, `"pieces"`},
			"inventory/Reserve: request field `lines[].quantity` was removed: " +
				"sagas that the released orchestrator started still send it",
		},
		"response field removed": {
			edit{"services/shipping/testdata/booking.json", `"shipment_id": "shp_1",`, ""},
			"shipping/Book: response field `shipment_id` was removed: " +
				"sagas that the released orchestrator started still read it",
		},
		"response field of another type": {
			edit{"services/payments/testdata/captured.json", `1999`, `"19.99"`},
			"payments/Capture: response field `amount.amount` changed from an integer to a string: " +
				"sagas that the released orchestrator started still read an integer",
		},
		"whole that may have a fraction": {
			edit{"services/payments/testdata/captured.json", `1999`, `19.99`},
			"payments/Capture: response field `amount.amount` changed from an integer to a number: " +
				"sagas that the released orchestrator started still read an integer",
		},
		"event field removed": {
			edit{"services/payments/testdata/changed.json", `"refunded": 500,`, ""},
			"payments.payment.voided.v1: field `refunded` was removed: released consumers still read it",
		},
		"sealed field removed": {
			edit{"services/orders/testdata/order.json", `"city": "London",`, ""},
			"orders order: field `shipping_address.city` was removed: released programs still read and write it",
		},
		"activity renamed": {
			edit{paymentsList, `payments/Capture`, `payments/Take`},
			"payments/Capture: the activity was removed: sagas that the released orchestrator started still call it",
		},
		"activity on another queue": {
			edit{paymentsList, `"queue": "payments"`, `"queue": "payments-2"`},
			"payments/Cancel: the task queue changed from `payments` to `payments-2`: sagas that the released " +
				"orchestrator started still call it on the former, where nobody would take it",
		},
		"attempt cut short": {
			edit{shippingList, `"10m0s"`, `"5m0s"`},
			"shipping/Book: an attempt may take 5m0s, not 10m0s: " +
				"released workers may still take the longer, and would be cut short",
		},
		"heartbeat sooner": {
			edit{shippingList, `"heartbeat": "10s"`, `"heartbeat": "2s"`},
			"shipping/Book: a heartbeat is expected every 2s, not every 10s: " +
				"released workers may be slower, and their attempts would count as lost",
		},
		"heartbeat where there was none": {
			edit{shippingList, `"start_to_close": "30s",`, `"start_to_close": "30s", "heartbeat": "5s",`},
			"shipping/Cancel: a heartbeat is expected every 5s: " +
				"released workers give none, and their attempts would count as lost",
		},
		"failure no longer final": {
			edit{paymentsList, `"capture_refused",`, ""},
			"payments/Capture: the failure `capture_refused` is final no more: " +
				"released workers still end the step with it, and it would be tried again",
		},
		"failure removed": {
			edit{shippingList, `"carrier_unavailable": "unavailable",`, ""},
			"shipping carrier_unavailable: the failure was removed: released callers still decide by it",
		},
		"failure of another kind": {
			edit{paymentsList, `"payment_cancelled": "conflict"`, `"payment_cancelled": "unavailable"`},
			"payments payment_cancelled: the failure changed from `conflict` to `unavailable`: " +
				"the kind decides whether sagas in flight try again, and which status clients get",
		},
		"event of another version": {
			edit{paymentsList, `payments.payment.captured.v1`, `payments.payment.captured.v2`},
			"payments.payment.captured.v1: the event was removed: released consumers still wait for it",
		},
		"stream renamed": {
			edit{paymentsList, `"PAYMENTS"`, `"MONEY"`},
			"payments: the stream changed from `PAYMENTS` to `MONEY`: released consumers still read the former",
		},
		"contract removed": {
			edit{file: shippingList},
			"shipping/Book: the activity was removed: sagas that the released orchestrator started still call it",
		},
		"workflow renamed": {
			edit{sagaList, `"OrderSaga"`, `"OrderSagaV2"`},
			"OrderSaga: the workflow was removed: released orchestrators still call it",
		},
		"workflow id of another form": {
			edit{sagaList, `"order/{order_id}"`, `"saga/{order_id}"`},
			"OrderSaga: the id changed from `order/{order_id}` to `saga/{order_id}`: " +
				"released orchestrators still use the former, and one order would get two",
		},
		"signal renamed": {
			edit{sagaList, `"cancel": {`, `"call_off": {`},
			"saga cancel: the signal was removed: released orchestrators still call it",
		},
		"query renamed": {
			edit{sagaList, `"progress": {`, `"state": {`},
			"saga progress: the query was removed: released orchestrators still call it",
		},
		"update's answer without a field": {
			edit{sagaDir + "/testdata/resolution.json", `"state": "parked",`, ""},
			"saga resolve: response field `state` was removed: released orchestrators still read it",
		},
		"search attribute of another type": {
			edit{sagaList, `"SagaState": "Keyword"`, `"SagaState": "Text"`},
			"SagaState: the search attribute changed from Keyword to Text: sagas in flight still set the former",
		},
		"search attribute renamed": {
			edit{sagaList, `"SagaState"`, `"OrderState"`},
			"SagaState: the search attribute was removed: operators still search by it",
		},
		"endpoint removed": {
			edit{paymentsAPI, "  /v1/fraud/settings:", "  /v1/limits:"},
			"payments GET /v1/fraud/settings: api path removed without deprecation: released clients still call it as it was",
		},
		"API removed": {
			edit{file: paymentsAPI},
			"payments: the API services/payments/openapi.yaml was removed: released clients still call it",
		},
		"optional answer field removed": {
			edit{paymentsAPI, `        next_cursor:
          type: string
          description: Absent on the last page.
`, ""},
			"payments GET /v1/payments: removed the optional property `next_cursor` from the response with the `200` status: " +
				"released clients still read it",
		},
		"answer of a state that was not": {
			edit{paymentsAPI, `enum: [pending, succeeded, failed]`, `enum: [pending, succeeded, failed, reversed]`},
			"payments POST /v1/payments/{id}/refunds: added the new `reversed` enum value to the `state` response property " +
				"for the response status `201`: released clients do not know it",
		},
		"body field newly required": {
			edit{paymentsAPI, `required: [reason]`, `required: [reason, amount]`},
			"payments POST /v1/payments/{id}/refunds: the request property `amount` became required: " +
				"released clients do not send it",
		},
		"body field removed": {
			edit{paymentsAPI, `        amount:
          type: integer
          format: int64
          minimum: 1
          maximum: 9007199254740991
          description: In minor units of the payment's currency. Absent means all that is left.
`, ""},
			"payments POST /v1/payments/{id}/refunds: removed the request property `amount`: released clients still send it",
		},
		"parameter of a smaller range": {
			edit{"orchestrator/openapi.yaml", `minimum: 1, maximum: 100 }`, `minimum: 1, maximum: 50 }`},
			"orchestrator GET /v1/sagas: for the `query` request parameter `limit`, the max was decreased from `100.00` to " +
				"`50.00`: released clients still send what was accepted",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out := compareAfter(t, release, c.edit)
			require.Contains(t, strings.Split(out, "\n"), "BREAKS  "+c.says)
			require.Equal(t, breaking, code)
		})
	}
}

func TestWhatIsAddedPassesAndIsListed(t *testing.T) {
	t.Parallel()
	release := released(t)
	for name, c := range map[string]struct {
		edit edit
		says string
	}{
		"nothing": {
			edit{paymentsList, `"queue"`, `"queue"`},
			"10 contracts of the working tree are compatible with HEAD.",
		},
		"other examples": {
			edit{"services/payments/testdata/captured.json", `1999`, `1`},
			"10 contracts of the working tree are compatible with HEAD.",
		},
		"request field": {
			edit{"services/payments/testdata/capture_request.json", `{`, `{ "amount": {"amount": 1, "currency": "EUR"},`},
			"added  payments/Capture: request field `amount`: sagas that the released orchestrator started do not send it",
		},
		"response field": {
			edit{"services/shipping/testdata/booking.json", `{`, `{ "label": "x",`},
			"added  shipping/Book: response field `label`: released workers do not answer with it",
		},
		"event field": {
			edit{"services/orders/testdata/placed.json", `{`, `{ "channel": "shop",`},
			"added  orders.order.placed.v1: field `channel`: released publishers do not write it",
		},
		"activity": {
			edit{paymentsList, `"activities": {`, `"activities": { "payments/CancelV2": {"request": "cancel_request"},`},
			"added  payments/CancelV2: the activity",
		},
		"event": {
			edit{paymentsList, `"events": {`, `"events": { "payments.payment.disputed.v1": "changed",`},
			"added  payments.payment.disputed.v1: the event",
		},
		"failure": {
			edit{paymentsList, `"failures": {`, `"failures": { "card_expired": "declined",`},
			"added  payments card_expired: the failure",
		},
		"failure made final": {
			edit{paymentsList, `"capture_refused",`, `"capture_refused", "payments_maintenance",`},
			"added  payments/Capture: the failure `payments_maintenance` is final",
		},
		"attempt that may take longer": {
			edit{shippingList, `"30s"`, `"1m0s"`},
			"changed  shipping/Cancel: an attempt may take 1m0s: sagas that the released orchestrator started still allow 30s",
		},
		"heartbeat later": {
			edit{shippingList, `"heartbeat": "10s"`, `"heartbeat": "30s"`},
			"changed  shipping/Book: fewer heartbeats are expected: " +
				"sagas that the released orchestrator started still expect one every 10s",
		},
		"signal": {
			edit{sagaList, `"signals": {`, `"signals": { "hurry": {"request": "cancel_request"},`},
			"added  saga hurry: the signal",
		},
		"answer field": {
			edit{paymentsAPI, `        order_id: { type: string }
        customer_id:`, `        order_id: { type: string }
        brand: { type: string }
        customer_id:`},
			"added  payments GET /v1/payments: added the optional property `items/items/brand` to the response with the `200` " +
				"status",
		},
		"larger range": {
			edit{"orchestrator/openapi.yaml", `minimum: 1, maximum: 100 }`, `minimum: 1, maximum: 500 }`},
			"changed  orchestrator GET /v1/sagas: for the `query` request parameter `limit`, the max was increased from " +
				"`100.00` to `500.00`",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out := compareAfter(t, release, c.edit)
			require.Contains(t, strings.Split(out, "\n"), c.says)
			require.Equal(t, compatible, code, out)
		})
	}
}

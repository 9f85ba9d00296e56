package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheAuditNamesAnOrderWhoseBooksAreWrong falsifies the books of one order in one database after the other, and puts
// them right again.
func TestTheAuditNamesAnOrderWhoseBooksAreWrong(t *testing.T) {
	t.Parallel()
	c := ordersClient(t, platform)
	confirmed, err := place(t.Context(), c, newOrder("pm_card_visa", berlin, line("MUG", 2)))
	require.NoError(t, err)
	failed, err := place(t.Context(), c, newOrder("pm_card_visa", carrierRefuses))
	require.NoError(t, err)
	end(t, c, confirmed, time.Minute)
	end(t, c, failed, time.Minute)
	wrong := findings(t, platform)
	require.Empty(t, wrong[confirmed])
	require.Empty(t, wrong[failed])

	for _, tc := range []struct{ order, database, falsify, restore, finding string }{
		{
			confirmed, "payments", `UPDATE payments SET captured = captured - 1 WHERE order_id = $1`,
			`UPDATE payments SET captured = captured + 1 WHERE order_id = $1`, "2499 EUR captured",
		},
		{
			confirmed, "payments", `UPDATE sandbox.charges SET captured = captured - 1 WHERE order_id = $1`,
			`UPDATE sandbox.charges SET captured = captured + 1 WHERE order_id = $1`, "the provider took 2499",
		},
		{
			confirmed, "inventory", `UPDATE reservations SET state = 'released' WHERE order_id = $1`,
			`UPDATE reservations SET state = 'committed' WHERE order_id = $1`, "is released, not committed",
		},
		{
			confirmed, "shipping", `UPDATE shipments SET order_id = 'ord_lost' WHERE order_id = $1`,
			`UPDATE shipments SET order_id = $1 WHERE order_id = 'ord_lost'`, "is booked 0 times, not 1",
		},
		{
			failed, "payments", `UPDATE payments SET state = 'authorized' WHERE order_id = $1`,
			`UPDATE payments SET state = 'voided' WHERE order_id = $1`, "is authorized with 0 captured",
		},
		{
			failed, "inventory", `UPDATE reservations SET state = 'committed' WHERE order_id = $1`,
			`UPDATE reservations SET state = 'released' WHERE order_id = $1`, "is committed",
		},
	} {
		tamper(t, platform, tc.database, tc.falsify, tc.order)
		require.Contains(t, findings(t, platform)[tc.order], tc.finding)
		tamper(t, platform, tc.database, tc.restore, tc.order)
	}
	wrong = findings(t, platform)
	require.Empty(t, wrong[confirmed])
	require.Empty(t, wrong[failed])
}

func TestTheAuditLooksBackAsFarAsItIsTold(t *testing.T) {
	t.Parallel()
	out, err := platform.orderflow(t.Context(), "audit", "-since", "1ns")
	require.NoError(t, err, out)
	require.Equal(t, "0 orders checked, 0 findings\n", out)
}

func TestAnAuditOfAServiceThatIsAwaySaysSo(t *testing.T) {
	t.Parallel()
	away := stack{URLs: map[string]string{
		"orders": platform.URLs["orders"], "payments": "http://127.0.0.1:1",
		"inventory": platform.URLs["inventory"], "shipping": platform.URLs["shipping"],
	}}
	out, err := away.orderflow(t.Context(), "audit")
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, out, "connection refused")
	require.Equal(t, 1, strings.Count(out, "\n"), "one sentence: %s", out)
}

func TestTheDemoShowsEveryEnding(t *testing.T) {
	t.Parallel()
	out, err := platform.orderflow(t.Context(), "demo")
	require.NoError(t, err, out)
	require.Equal(t, 7, strings.Count(out, "✓"), out)
	require.NotContains(t, out, "✗")
}

//go:build !compose

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	orders "github.com/orderflow/orderflow/services/orders/client"
)

// TestProgramsOfTheLastReleaseWorkWithOurs lets teams ship in any order: one program of the last release after another
// takes the place of ours, on databases that are migrated already.
func TestProgramsOfTheLastReleaseWorkWithOurs(t *testing.T) {
	t.Parallel()
	released := buildReleased(t, "services/payments", "orchestrator")
	s, data := startOwnStack(t, "compat")
	for _, name := range []string{"payments", "orchestrator"} {
		running := filepath.Join(data, "bin", name)
		ours := running + "-ours"
		require.NoError(t, os.Link(running, ours))

		require.NoError(t, os.Rename(filepath.Join(released, name+"-released"), running))
		s.kill(t, name)
		endsAreHonest(t, s, "with "+name+" of the last release")
		t.Log(s.audit(t))

		require.NoError(t, os.Rename(ours, running))
		s.kill(t, name)
	}
	endsAreHonest(t, s, "with our programs again")
	t.Log(s.audit(t))
}

// buildReleased builds programs as they were in the last release, and returns the directory that they are in.
func buildReleased(t *testing.T, modules ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "RELEASE"))
	require.NoError(t, err)
	release := strings.TrimSpace(string(content))
	// The programs are moved from here to the stack's, so both are in one file system.
	dir := filepath.Join(filepath.Dir(programs), "released")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	archive := filepath.Join(dir, "release.tar")
	git := exec.CommandContext(t.Context(), "git", "-C", "..", "archive", "-o", archive, release)
	out, err := git.CombinedOutput()
	require.NoError(t, err, "the last release, %s, is not in this clone (git fetch --unshallow gets it): %s", release, out)
	out, err = exec.CommandContext(t.Context(), "tar", "-xf", archive, "-C", dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, module := range modules {
		name := filepath.Base(module)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, name+"-released"), "./cmd/"+name)
		cmd.Dir = filepath.Join(dir, module)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "build %s of the last release: %s", name, out)
	}
	return dir
}

// endsAreHonest places one order for each kind of end.
func endsAreHonest(t *testing.T, s *stack, when string) {
	t.Helper()
	c := ordersClient(t, s)
	kinds := []struct {
		order orders.NewOrder
		end   string
		seen  []string
	}{
		{
			newOrder("pm_card_visa", berlin), "confirmed ",
			[]string{"payment.authorized", "payment.captured", "reservation.committed", "order.confirmed"},
		},
		{
			newOrder("pm_sandbox_timeout", berlin), "confirmed ",
			[]string{"payment.outcome_unknown", "payment.captured", "order.confirmed"},
		},
		{
			newOrder("pm_card_chargeDeclined", berlin), "failed payment_declined",
			[]string{"payment.declined", "reservation.released", "order.failed"},
		},
		{
			newOrder("pm_card_visa", berlin, line("RARE-VINYL", 2)), "failed out_of_stock", []string{"order.failed"},
		},
		{
			newOrder("pm_card_visa", carrierIsDown), "failed carrier_unavailable",
			[]string{"payment.authorized", "payment.voided", "reservation.released", "order.failed"},
		},
	}
	ids := make([]string, len(kinds))
	for i, kind := range kinds {
		var err error
		ids[i], err = place(t.Context(), c, kind.order)
		require.NoError(t, err)
	}
	for i, kind := range kinds {
		order := end(t, c, ids[i], 2*time.Minute)
		code := ""
		if order.Reason != nil {
			code = order.Reason.Code
		}
		require.Equal(t, kind.end, fmt.Sprint(order.Status, " ", code), when)
		require.Eventually(t, func() bool { return containsAll(timeline(t, c, ids[i]), kind.seen) },
			10*time.Second, 100*time.Millisecond, "%s, the timeline lacks one of %v", when, kind.seen)
	}
}

package eventbus_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/eventbus"
)

// door lets clients in, or refuses them as a server does whose credentials are being changed.
type door struct {
	closed atomic.Bool
	tries  atomic.Int32
}

func (d *door) Check(server.ClientAuthentication) bool {
	d.tries.Add(1)
	return !d.closed.Load()
}

func TestConnectionOutlivesCredentialsThatAreWrongForAWhile(t *testing.T) {
	t.Parallel()
	var d door
	options := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, CustomClientAuthentication: &d,
	}
	running, err := server.NewServer(options)
	require.NoError(t, err)
	running.Start()
	defer running.WaitForShutdown()
	defer running.Shutdown()
	require.True(t, running.ReadyForConnections(patience))

	nc, err := eventbus.Connect(t.Context(), fmt.Sprintf("nats://%s", running.Addr()), "test", silent)
	require.NoError(t, err)
	defer nc.Close()
	require.Eventually(t, nc.IsConnected, patience, beat)

	d.closed.Store(true)
	before := d.tries.Load()
	require.NoError(t, nc.ForceReconnect())
	require.Eventually(t, func() bool { return d.tries.Load() >= before+3 || nc.Status() == nats.CLOSED }, patience, beat)
	d.closed.Store(false)
	require.Eventually(t, nc.IsConnected, 5*time.Second, beat)
}

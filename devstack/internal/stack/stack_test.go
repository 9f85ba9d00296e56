package stack

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// occupied returns a port that somebody listens on.
func occupied(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestABusyPortIsOneSentenceWithAWayOut(t *testing.T) {
	t.Parallel()
	busy := occupied(t)
	_, err := choosePorts([]port{{"ORDERS", busy, "orders"}}, false, nil, nil)
	n := strconv.Itoa(busy)
	require.EqualError(t, err, "port "+n+" is busy and orders needs it: stop what listens there, "+
		"set ORDERFLOW_PORT_ORDERS to another port, or start with --ports auto")

	_, err = choosePorts([]port{{"ORDERS", 1, "orders"}}, true, nil, []string{"ORDERFLOW_PORT_ORDERS=" + n})
	require.EqualError(t, err, "port "+n+" is busy and orders needs it: stop what listens there, "+
		"set ORDERFLOW_PORT_ORDERS to another port", "auto was asked for already")
}

func TestPortVariablesAreChecked(t *testing.T) {
	t.Parallel()
	wanted := []port{{"ORDERS", 1, "orders"}, {"PAYMENTS", 1, "payments"}}
	for variables, message := range map[string]string{
		"ORDERFLOW_PORT_ORDERS=http":                                "ORDERFLOW_PORT_ORDERS=http is not a port number",
		"ORDERFLOW_PORT_ORDERS=70000":                               "ORDERFLOW_PORT_ORDERS=70000 is not a port number",
		"ORDERFLOW_PORT_ORDRES=1":                                   "ORDERFLOW_PORT_ORDRES is not known: the ports are POSTGRES, NATS",
		"ORDERFLOW_PORT_ORDERS=25001 ORDERFLOW_PORT_PAYMENTS=25001": "port 25001 is wanted by both orders and payments",
	} {
		_, err := choosePorts(wanted, true, nil, strings.Fields(variables))
		require.ErrorContains(t, err, message)
	}
}

func TestAutomaticPortsAreDistinctAndRemembered(t *testing.T) {
	t.Parallel()
	wanted := slices.Concat(infraPorts, uiPorts, servicePorts)
	first, err := choosePorts(wanted, true, nil, nil)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, number := range first {
		require.False(t, seen[number])
		seen[number] = true
	}
	require.Len(t, seen, len(wanted))

	file := filepath.Join(t.TempDir(), "ports.json")
	require.NoError(t, first.remember(file))
	l, err := net.Listen("tcp4", first.address("NATS"))
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	again, err := choosePorts(wanted, true, rememberedPorts(file), nil)
	require.NoError(t, err)
	require.NotEqual(t, first["NATS"], again["NATS"], "it is taken now")
	require.Equal(t, first["ORDERS"], again["ORDERS"])
}

func TestStandardPortsDoNotCollide(t *testing.T) {
	t.Parallel()
	owner := map[int]string{}
	for _, p := range slices.Concat(infraPorts, uiPorts, servicePorts) {
		require.Empty(t, owner[p.standard], p.name)
		owner[p.standard] = p.name
	}
}

func TestTheRootIsFoundUpwards(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	deep := filepath.Join(root, "services", "orders")
	require.NoError(t, os.MkdirAll(deep, 0o755))
	t.Chdir(deep)
	_, err = findRoot("")
	require.ErrorContains(t, err, "no go.work here or in any directory above")
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.work"), nil, 0o600))
	found, err := findRoot("")
	require.NoError(t, err)
	require.Equal(t, root, found)
	_, err = findRoot(filepath.Join(root, "nowhere"))
	require.ErrorContains(t, err, "is not a directory")
}

func TestTwoClonesDoNotShareData(t *testing.T) {
	t.Parallel()
	one, err := dataDir("", "/home/ada/orderflow")
	require.NoError(t, err)
	other, err := dataDir("", "/home/ada/src/orderflow")
	require.NoError(t, err)
	require.NotEqual(t, one, other)
	require.Equal(t, filepath.Dir(one), filepath.Dir(other))
}

func TestOnlyOneStackRunsOnADataDirectory(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	held, err := lock(data)
	require.NoError(t, err)
	_, err = lock(data)
	require.EqualError(t, err, "a devstack is running on "+data+" already: stop it, or give this one another --data directory")
	_, err = Clean(t.Context(), Options{Data: data})
	require.ErrorContains(t, err, "is running on")
	require.NoError(t, held.Close())
	again, err := lock(data)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestCleanRemovesOnlyWhatIsOurs(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.MkdirAll(filepath.Join(data, natsDir), 0o755))
	_, err := loadSecrets(filepath.Join(data, secretsFile), nil)
	require.NoError(t, err)
	mine := filepath.Join(data, "thesis.tex")
	require.NoError(t, os.WriteFile(mine, nil, 0o600))

	_, err = Clean(t.Context(), Options{Data: data})
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(data, secretsFile), "without a lock file the directory was never a stack's")

	held, err := lock(data)
	require.NoError(t, err)
	require.NoError(t, held.Close())
	_, err = Clean(t.Context(), Options{Data: data})
	require.NoError(t, err)
	require.FileExists(t, mine)
	require.NoFileExists(t, filepath.Join(data, secretsFile))
	require.NoDirExists(t, filepath.Join(data, natsDir))

	require.NoError(t, os.Remove(mine))
	held, err = lock(data)
	require.NoError(t, err)
	require.NoError(t, held.Close())
	_, err = Clean(t.Context(), Options{Data: data})
	require.NoError(t, err)
	require.NoDirExists(t, data)
}

func TestSecretsAreMadeOnceAndPrivate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets.json")
	first, err := loadSecrets(file, []string{"orders"})
	require.NoError(t, err)
	require.Regexp(t, `^dev:[A-Za-z0-9+/]{43}=$`, first.PayloadKeys)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	again, err := loadSecrets(file, []string{"orders", "billing"})
	require.NoError(t, err)
	require.Equal(t, first.PayloadKeys, again.PayloadKeys)
	require.Equal(t, first.Roles["orders"], again.Roles["orders"])
	require.NotEmpty(t, again.Roles["billing"], "a service added later gets its own")
}

func TestAServiceGetsItsConfigurationAndNothingByAccident(t *testing.T) {
	t.Parallel()
	s := &stack{
		options: Options{Environ: []string{
			"PATH=/bin", "DATABASE_URL=postgres://admin@elsewhere", "TEMPORAL_ADDRESS=cloud:7233", "TEMPORAL_API_KEY=x",
			"ORDERFLOW_PORT_ORDERS=1", "ORDERFLOW_ORDERS_LOG_LEVEL=debug", "ORDERFLOW_PAYMENTS_GATEWAY=stripe",
		}},
		ports: ports{
			"ORDERS": 1001, "ORDERS_OPS": 1002, "ORCHESTRATOR": 1003, "ORCHESTRATOR_OPS": 1004,
			"NATS": 1005, "TEMPORAL": 1006, "UI": 1007, "OTLP": 1008,
		},
		secrets:   secrets{PayloadKeys: "dev:key"},
		databases: map[string]string{"orders": "postgres://orders@here/orders"},
	}
	require.ElementsMatch(t, []string{
		"PATH=/bin", "DATABASE_URL=postgres://orders@here/orders", "NATS_URL=nats://127.0.0.1:1005",
		"TEMPORAL_ADDRESS=127.0.0.1:1006", "TEMPORAL_NAMESPACE=orderflow", "HTTP_ADDR=127.0.0.1:1001",
		"OPS_ADDR=127.0.0.1:1002", "LOG_LEVEL=debug", "LOG_FORMAT=text", "PAYLOAD_KEYS=dev:key",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1008", "OTEL_BSP_SCHEDULE_DELAY=500",
	}, s.serviceEnv(services[0]))
	require.ElementsMatch(t, []string{
		"PATH=/bin", "NATS_URL=nats://127.0.0.1:1005", "TEMPORAL_ADDRESS=127.0.0.1:1006",
		"TEMPORAL_NAMESPACE=orderflow", "HTTP_ADDR=127.0.0.1:1003", "OPS_ADDR=127.0.0.1:1004",
		"LOG_LEVEL=info", "LOG_FORMAT=text", "PAYLOAD_KEYS=dev:key", "CODEC_ORIGIN=http://127.0.0.1:1007",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1008", "OTEL_BSP_SCHEDULE_DELAY=500",
	}, s.serviceEnv(services[4]))
}

func TestAUsersOwnCollectorGetsTheSpans(t *testing.T) {
	t.Parallel()
	for _, own := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://here:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://here:4317",
	} {
		s := &stack{options: Options{Environ: []string{own}}, ports: ports{"OTLP": 1008}}
		var set []string
		for _, variable := range s.serviceEnv(services[0]) {
			if strings.HasPrefix(variable, "OTEL_") {
				set = append(set, variable)
			}
		}
		require.Equal(t, []string{own}, set)
	}
}

func TestWhatIsMissingIsSaidBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	up := func(o Options) error {
		o.Root, o.Data, o.Out = root, filepath.Join(root, "data"), io.Discard
		err := Up(t.Context(), nil, o)
		require.NoDirExists(t, o.Data)
		return err
	}
	require.ErrorContains(t, up(Options{}), "the program orders cannot be built: "+filepath.Join(root, "services/orders/cmd/orders")+" is missing")
	require.ErrorContains(t, up(Options{Bin: root}), "the program "+filepath.Join(root, "orders")+" is missing")
	require.ErrorContains(t, up(Options{OnlyInfra: true, State: "/nowhere/state.json"}), "the directory of the state file /nowhere/state.json is missing")
	require.ErrorContains(t, up(Options{OnlyInfra: true, Environ: []string{"DATABASE_URL=dbname=x"}}), "DATABASE_URL must look like")
}

// Package temporalserver runs one complete Temporal server (frontend, history, matching and worker) in
// this process, on PostgreSQL, with the schema set up by the server's own tool. It knows nothing of
// Orderflow's services; what they need of it is the address, the namespace and the database.
package temporalserver

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/primitives"
)

const (
	// historyShards cannot be changed once a database holds workflows. Four spread the work of one
	// machine without the start-up cost of hundreds.
	historyShards = 4

	// Retention is how long the history of a closed workflow stays readable.
	Retention = 7 * 24 * time.Hour

	loopback    = "127.0.0.1"
	clusterName = "active"
	mainStore   = "main"
	visStore    = "visibility"
)

// Ports of the server, all on 127.0.0.1. The frontend is the one clients use; HTTP is the frontend's
// JSON API; the others are internal but fixed, because the four services find each other by them.
type Ports struct {
	Frontend, HTTP, History, Matching, Worker, Metrics int
}

// Config says where the server listens and where it keeps its data.
type Config struct {
	Ports Ports
	// DatabaseURL opens the main database as its owner: postgres://user:password@host:port/name?sslmode=…
	DatabaseURL string
	// VisibilityDatabase is the name of the second database on the same PostgreSQL, with the same owner.
	VisibilityDatabase string
	// Namespace is registered when the server is up, if it is not there yet.
	Namespace string
	// LogLevel is debug, info, warn or error.
	LogLevel string
}

func (c Config) validate() error {
	switch {
	case c.DatabaseURL == "":
		return errors.New("temporal needs the URL of its PostgreSQL database (DATABASE_URL)")
	case c.VisibilityDatabase == "":
		return errors.New("temporal needs the name of its visibility database")
	case c.Namespace == "":
		return errors.New("temporal needs the name of the namespace to register")
	}
	return nil
}

func (c Config) address() string {
	return net.JoinHostPort(loopback, strconv.Itoa(c.Ports.Frontend))
}

// sql translates the database URL into the server's own configuration of one data store.
func (c Config) sql(database string, connections int) (*config.SQL, error) {
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		// The error of url.Parse repeats the whole URL with its password.
		return nil, errors.New("DATABASE_URL is not a valid URL")
	}
	password, _ := u.User.Password()
	attributes := map[string]string{}
	for name, values := range u.Query() {
		attributes[name] = values[0]
	}
	return &config.SQL{
		PluginName:        postgresql.PluginNamePGX,
		ConnectAddr:       u.Host,
		ConnectProtocol:   "tcp",
		ConnectAttributes: attributes,
		User:              u.User.Username(),
		Password:          password,
		DatabaseName:      database,
		MaxConns:          connections,
		MaxIdleConns:      connections,
		MaxConnLifetime:   time.Hour,
	}, nil
}

func (c Config) mainDatabase() (string, error) {
	u, err := url.Parse(c.DatabaseURL)
	if err != nil || len(u.Path) < 2 {
		return "", errors.New("DATABASE_URL must name a database: postgres://user:password@host:port/name")
	}
	return u.Path[1:], nil
}

func (c Config) server() (*config.Config, error) {
	database, err := c.mainDatabase()
	if err != nil {
		return nil, err
	}
	main, err := c.sql(database, 30)
	if err != nil {
		return nil, err
	}
	visibility, err := c.sql(c.VisibilityDatabase, 10)
	if err != nil {
		return nil, err
	}
	service := func(port int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	frontend := service(c.Ports.Frontend)
	frontend.RPC.HTTPPort = c.Ports.HTTP

	return &config.Config{
		Global: config.Global{
			Metrics: &metrics.Config{Prometheus: &metrics.PrometheusConfig{
				Framework:     metrics.FrameworkOpentelemetry,
				ListenAddress: net.JoinHostPort(loopback, strconv.Itoa(c.Ports.Metrics)),
				HandlerPath:   "/metrics",
			}},
		},
		Persistence: config.Persistence{
			DefaultStore:     mainStore,
			VisibilityStore:  visStore,
			NumHistoryShards: historyShards,
			DataStores: map[string]config.DataStore{
				mainStore: {SQL: main},
				visStore:  {SQL: visibility},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
				Enabled:                true,
				InitialFailoverVersion: 1,
				RPCAddress:             c.address(),
				HTTPAddress:            net.JoinHostPort(loopback, strconv.Itoa(c.Ports.HTTP)),
			}},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		PublicClient:        config.PublicClient{HostPort: c.address()},
		Services: map[string]config.Service{
			string(primitives.FrontendService): frontend,
			string(primitives.HistoryService):  service(c.Ports.History),
			string(primitives.MatchingService): service(c.Ports.Matching),
			string(primitives.WorkerService):   service(c.Ports.Worker),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}, nil
}

// hosts names each service's only member. The server's gossip ring would find the same four addresses
// by asking the database and waiting for joins; after a SIGKILL it would also find the dead ones.
func (c Config) hosts() map[primitives.ServiceName]static.Hosts {
	member := func(port int) static.Hosts {
		return static.SingleLocalHost(net.JoinHostPort(loopback, strconv.Itoa(port)))
	}
	return map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: member(c.Ports.Frontend),
		primitives.HistoryService:  member(c.Ports.History),
		primitives.MatchingService: member(c.Ports.Matching),
		primitives.WorkerService:   member(c.Ports.Worker),
	}
}

// settings are the dynamic configuration of one developer's machine: one tenant, one host.
func settings() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// Four partitions per task queue (the default) only add hops on one host: a task in one
		// partition has to be forwarded to the poller that waits at another.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		// A search attribute can be used in the moment it is registered, not a minute later.
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		// Whether a version of a worker still has workflows is seen within seconds, not after three minutes.
		dynamicconfig.VersionDrainageStatusVisibilityGracePeriod.Key(): 3 * time.Second,
		dynamicconfig.VersionDrainageStatusRefreshInterval.Key():       3 * time.Second,
		// The product relies on these; a changed default must not switch them off.
		dynamicconfig.EnableDeploymentVersions.Key():                           true,
		dynamicconfig.FrontendEnableUpdateWorkflowExecution.Key():              true,
		dynamicconfig.FrontendEnableUpdateWorkflowExecutionAsyncAccepted.Key(): true,
		// A developer's machine reports to nobody.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
		// The rate limits protect tenants of a shared cluster from each other. Here they would only
		// distort a load test, and ten visibility queries a second stop an operators' page.
		dynamicconfig.FrontendRPS.Key():                                  20000,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key():           20000,
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 1000,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():                    20000,
		dynamicconfig.HistoryRPS.Key():                                   20000,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():                     20000,
		dynamicconfig.MatchingRPS.Key():                                  20000,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():                    20000,
	}
}

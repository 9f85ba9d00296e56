package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	tcpostgres "github.com/testcontainers/testcontainers-go/modules/postgres"
)

const (
	image = "postgres:17"

	// containerName is what test processes find each other's server by.
	containerName = "orderflow-pgtest"

	// lookEvery is the time between two looks at whether the server is in use. It is long for the sake of the next run.
	lookEvery = 5 * time.Minute

	// registryTimeout is how long the registry may take to say that it has the image, pullTimeout to send it.
	registryTimeout = 10 * time.Second
	pullTimeout     = 5 * time.Minute
)

var (
	errNoDocker = errors.New("no Docker engine answers")
	errNoImage  = errors.New("the Docker engine has no image " + image)
)

// attendant runs the server until a look finds nobody connected to it. Each test process holds a connection, which the
// kernel closes however that process ends. So the server can be shared by all that run at the same time or shortly
// after each other, and nothing stays: when the attendant ends, so does the container, and the engine removes it.
//
// The reaper of testcontainers would want another image, the engine's socket in a container, and a goroutine in every
// test process, where goleak finds it.
const attendant = `
docker-entrypoint.sh postgres "$@" &
while sleep "$LOOK_EVERY" && kill -0 $!; do
	clients=$(PGPASSWORD=$POSTGRES_PASSWORD psql -h 127.0.0.1 -U postgres -Atc "select count(*) from pg_stat_activity
		where backend_type = 'client backend' and pid <> pg_backend_pid()")
	[ "$clients" != 0 ] || exit
done
`

// joinOrStart returns the server that the test processes of this machine share.
func joinOrStart() (*instance, error) {
	if err := prepareDocker(); err != nil {
		return nil, err
	}
	return joinOrStartContainer(containerName, lookEvery)
}

// prepareDocker sees to it that containers of the image can be started.
func prepareDocker() error {
	tclog.SetDefault(tclog.NewNoopLogger())
	// The attendant cleans up. This is the only way to tell testcontainers so.
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return err
	}
	return ensureImage(context.Background())
}

// ensureImage has the image pulled if the engine does not have it. It tries only once: testcontainers would go on for
// minutes where the registry cannot be reached.
func ensureImage(ctx context.Context) error {
	docker, err := testcontainers.NewDockerProvider()
	if err != nil {
		return fmt.Errorf("%w (%w)", errNoDocker, err)
	}
	defer func() { _ = docker.Close() }()

	name := path.Join(docker.Config().Config.HubImageNamePrefix, image)
	if _, err := docker.Client().ImageInspect(ctx, name); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	impatience := time.AfterFunc(registryTimeout, cancel)
	pull, err := docker.Client().ImagePull(ctx, name, client.ImagePullOptions{})
	if err == nil {
		impatience.Stop()
		err = pull.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w and cannot pull it (%w)", errNoImage, err)
	}
	return nil
}

// joinOrStartContainer tries a few times: the container that it finds may be about to end, and two processes may want
// to make it at the same time.
func joinOrStartContainer(name string, lookEvery time.Duration) (i *instance, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*timeout)
	defer cancel()
	for range 10 {
		if i, err = tryContainer(ctx, name, lookEvery); err == nil {
			return i, nil
		}
		time.Sleep(time.Second)
	}
	return nil, fmt.Errorf("the container %s does not work (%w)", name, err)
}

func tryContainer(ctx context.Context, name string, lookEvery time.Duration) (*instance, error) {
	ctr, err := tcpostgres.Run(ctx, image,
		testcontainers.WithReuseByName(name),
		testcontainers.WithEntrypoint("sh", "-c", attendant, "attendant"),
		testcontainers.WithCmd(append([]string{"-c", "max_connections=2000"}, settings...)...),
		testcontainers.WithEnv(map[string]string{"LOOK_EVERY": fmt.Sprint(lookEvery.Seconds())}),
		// Ports are published on every interface. Processes that join read the password off the container.
		tcpostgres.WithPassword(rand.Text()),
		testcontainers.WithTmpfs(map[string]string{"/var/lib/postgresql/data": ""}),
		testcontainers.WithHostConfigModifier(func(c *container.HostConfig) { c.AutoRemove = true }),
	)
	if err != nil {
		return nil, err
	}
	dsn, err := ctr.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	// Where tests run in a container themselves, testcontainers takes the gateway for the engine's address. A container
	// with the host's network finds it here instead.
	if here := net.JoinHostPort("127.0.0.1", address.Port()); accepts(ctx, here) {
		address.Host = here
	}
	conn, err := connect(ctx, address.String(), func() error {
		state, err := ctr.State(ctx)
		if err == nil && !state.Running {
			err = errors.New("it has ended")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &instance{
		dsn: address.String(), shared: true, lifeline: conn, templates: map[string]struct{}{},
	}, nil
}

func accepts(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close() // it was only to see
	return true
}

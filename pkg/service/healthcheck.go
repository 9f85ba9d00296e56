package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
)

// healthTimeout is longer than the checks of /readyz may take.
const healthTimeout = 3 * time.Second

// healthConfig is the environment of the health check: that of the program it asks.
type healthConfig struct {
	OpsAddr string `env:"OPS_ADDR" envDefault:":9090"`
}

// Validate implements config.Validator.
func (healthConfig) Validate() error { return nil }

// healthcheck asks the program that runs beside it, with the same environment, whether it is ready. It is for images
// that hold nothing else that could ask.
func healthcheck(ctx context.Context, _ string, _ io.Writer) error {
	cfg, err := config.Load[healthConfig]()
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(cfg.OpsAddr)
	if err != nil {
		return fmt.Errorf("OPS_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(body)))
	}
	return nil
}

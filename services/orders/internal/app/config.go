package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/seal"
)

// Config is what the service reads from its environment. The connection to Temporal is set by TEMPORAL_* variables.
type Config struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	NATSURL     string        `env:"NATS_URL,required,notEmpty"`
	HTTPAddr    string        `env:"HTTP_ADDR" envDefault:":8080"`
	OpsAddr     string        `env:"OPS_ADDR" envDefault:":9090"`
	// PayloadKeys is the platform's keyring, as seal.ParseKeyring reads it.
	PayloadKeys config.Secret `env:"PAYLOAD_KEYS,required,notEmpty"`
	// DrainTimeout is how long requests, activities and events in hand may take to finish when the service stops.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	Logging      logging.Config
}

// Validate checks what the types cannot.
func (c Config) Validate() error {
	var problems []error
	if _, err := seal.ParseKeyring(c.PayloadKeys.Reveal()); err != nil {
		problems = append(problems, fmt.Errorf("PAYLOAD_KEYS: %w", err))
	}
	if c.DrainTimeout <= 0 {
		problems = append(problems, errors.New("DRAIN_TIMEOUT must be more than zero"))
	}
	return errors.Join(problems...)
}

// MigrateConfig is what a migration needs: less than the service, so that a job may run it before anything else is
// there.
type MigrateConfig struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	Logging     logging.Config
}

// Validate has nothing to check that the types do not.
func (MigrateConfig) Validate() error { return nil }

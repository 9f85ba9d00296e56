package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/seal"
)

// Config is the service's environment, beside TEMPORAL_*.
type Config struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	NATSURL     config.Secret `env:"NATS_URL,required,notEmpty"`
	HTTPAddr    string        `env:"HTTP_ADDR" envDefault:":8080"`
	OpsAddr     string        `env:"OPS_ADDR" envDefault:":9090"`
	// Drain is how long requests and activities that run at the end of the process may take.
	Drain       time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`
	PayloadKeys config.Secret `env:"PAYLOAD_KEYS,required,notEmpty"`
	// ReservationTTL is how long stock is held for an order that nobody commits.
	ReservationTTL time.Duration `env:"RESERVATION_TTL" envDefault:"1h"`
	Log            logging.Config
}

// Validate reports what does not fit together.
func (c Config) Validate() error {
	var problems []error
	if c.Drain <= 0 {
		problems = append(problems, errors.New("DRAIN_TIMEOUT must be positive"))
	}
	if c.ReservationTTL < time.Second {
		problems = append(problems, errors.New("RESERVATION_TTL must be at least 1s"))
	}
	if _, err := seal.ParseKeyring(c.PayloadKeys.Reveal()); err != nil {
		problems = append(problems, fmt.Errorf("PAYLOAD_KEYS: %w", err))
	}
	return errors.Join(problems...)
}

// MigrateConfig is what migrating needs of it.
type MigrateConfig struct {
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	Log         logging.Config
}

// Validate has nothing to say.
func (MigrateConfig) Validate() error { return nil }

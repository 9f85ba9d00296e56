package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/config"
	"github.com/orderflow/orderflow/pkg/logging"
	"github.com/orderflow/orderflow/pkg/seal"
	"github.com/orderflow/orderflow/services/shipping"
)

// Config is what the service reads from its environment. The connection to Temporal is set by TEMPORAL_* variables
// besides (see pkg/temporalclient).
type Config struct {
	Log logging.Config

	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
	NATSURL     config.Secret `env:"NATS_URL,required,notEmpty"`
	// PayloadKeys seal what travels through Temporal: name:base64, the first one seals.
	PayloadKeys config.Secret `env:"PAYLOAD_KEYS,required,notEmpty"`

	HTTPAddr string `env:"HTTP_ADDR" envDefault:":8080"`
	OpsAddr  string `env:"OPS_ADDR"  envDefault:":9090"`
	// DrainTimeout is how long requests and activities in flight may go on after a signal to stop.
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"15s"`

	// Carrier is who fetches the parcels. There is "sandbox" only.
	Carrier string `env:"CARRIER" envDefault:"sandbox"`
	// CarrierTimeout bounds one call of the carrier.
	CarrierTimeout time.Duration `env:"CARRIER_TIMEOUT" envDefault:"5s"`
	// SandboxSlow is how long the sandbox takes for its slow postal code.
	SandboxSlow time.Duration `env:"SANDBOX_SLOW" envDefault:"12s"`
}

// Validate implements config.Validator.
func (c Config) Validate() error {
	var problems []error
	if _, err := seal.ParseKeyring(c.PayloadKeys.Reveal()); err != nil {
		problems = append(problems, fmt.Errorf("PAYLOAD_KEYS: %w", err))
	}
	if c.Carrier != "sandbox" {
		problems = append(problems, fmt.Errorf("CARRIER %q is not known: only sandbox is", c.Carrier))
	}
	// A call that lasts longer than the heartbeat time-out would look like a dead worker.
	if most := shipping.Book.Heartbeat * 4 / 5; c.CarrierTimeout <= 0 || c.CarrierTimeout > most {
		problems = append(problems, fmt.Errorf("CARRIER_TIMEOUT %s must be above 0 and at most %s", c.CarrierTimeout, most))
	}
	if c.DrainTimeout <= c.CarrierTimeout {
		problems = append(problems, fmt.Errorf("DRAIN_TIMEOUT %s must be above CARRIER_TIMEOUT %s, or a submission in "+
			"flight would be cut off", c.DrainTimeout, c.CarrierTimeout))
	}
	if c.SandboxSlow < 0 {
		problems = append(problems, fmt.Errorf("SANDBOX_SLOW %s must not be negative", c.SandboxSlow))
	}
	return errors.Join(problems...)
}

// migrateConfig is what Migrate reads: whoever migrates needs no keys and no carrier.
type migrateConfig struct {
	Log         logging.Config
	DatabaseURL config.Secret `env:"DATABASE_URL,required,notEmpty"`
}

// Validate implements config.Validator.
func (migrateConfig) Validate() error { return nil }

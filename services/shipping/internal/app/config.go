package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/orderflow/orderflow/pkg/service"
	"github.com/orderflow/orderflow/services/shipping"
)

// Config is what the service reads from its environment.
type Config struct {
	service.Config
	// Carrier is who fetches the parcels. There is "sandbox" only.
	Carrier string `env:"CARRIER" envDefault:"sandbox"`
	// CarrierTimeout bounds one call of the carrier.
	CarrierTimeout time.Duration `env:"CARRIER_TIMEOUT" envDefault:"5s"`
	// SandboxSlow is how long the sandbox takes for its slow postal code.
	SandboxSlow time.Duration `env:"SANDBOX_SLOW" envDefault:"12s"`
}

// Validate implements config.Validator.
func (c Config) Validate() error {
	problems := []error{c.Config.Validate()}
	if c.Carrier != "sandbox" {
		problems = append(problems, fmt.Errorf("CARRIER %q is not known: only sandbox is", c.Carrier))
	}
	// To call a shipment off takes up to three calls, and our own books need some of the time as well.
	if most := shipping.Cancel.StartToClose / 4; c.CarrierTimeout <= 0 || c.CarrierTimeout > most {
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

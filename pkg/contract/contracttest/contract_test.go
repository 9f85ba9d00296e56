package contracttest_test

import (
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/contract/contracttest"
	"github.com/orderflow/orderflow/pkg/errs"
)

type (
	PolishRequest struct {
		Lamp string `json:"lamp"`
	}
	Wish struct {
		Left int `json:"left"`
	}
)

// What the list looks like is a contract too: `make compat` reads those of releases.
func TestContractListsEveryNameWithItsWireTypes(t *testing.T) {
	t.Parallel()
	contracttest.Golden(t, "polish_request", PolishRequest{Lamp: "brass"})
	contracttest.Golden(t, "wish", Wish{Left: 2})

	broken := errs.New(errs.Conflict, "lamp_broken", "The lamp is broken.")
	polish := contract.Activity[PolishRequest, Wish]{
		Queue: "lamps", Name: "lamps/Polish", StartToClose: time.Minute, Heartbeat: time.Second,
		Final: []*errs.Error{broken},
	}
	contracttest.Contract(t,
		contracttest.Stream(contract.Stream{Name: "LAMPS", Subjects: []string{"lamps.>"}}),
		contracttest.Activity(polish),
		contracttest.Workflow[PolishRequest, Wish]("Genie", "lamps", "genie/{lamp}"),
		contracttest.Signal[PolishRequest]("hurry"),
		contracttest.Query[Wish]("left"),
		contracttest.Update[PolishRequest, Wish]("wish"),
		contracttest.Event(contract.Event[Wish]{Type: "lamps.wish.granted.v1"}),
		contracttest.Failures(broken),
		contracttest.SearchAttribute(temporal.NewSearchAttributeKeyKeyword("GenieState")),
		contracttest.Deprecated("hurry"),
	)
}

package contract_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/contract"
	"github.com/orderflow/orderflow/pkg/id"
)

var (
	eventSold     = contract.Event[receipt]{Type: "shop.tea.sold.v1"}
	eventReturned = contract.Event[receipt]{Type: "shop.tea.returned.v1"}
)

func TestEventTravels(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	ev, err := eventSold.New("ord_1", at, receipt{Number: math.MaxInt64})
	require.NoError(t, err)
	require.NoError(t, ev.Validate())
	require.True(t, id.Valid(id.Event, ev.ID()))
	require.Equal(t, "/orderflow/shop", ev.Source())
	require.Equal(t, "shop.tea.sold.v1", ev.Type())
	require.Equal(t, "ord_1", ev.Subject())
	require.Equal(t, "application/json", ev.DataContentType())

	wire, err := json.Marshal(ev)
	require.NoError(t, err)
	var back cloudevents.Event
	require.NoError(t, json.Unmarshal(wire, &back))
	require.Equal(t, at, back.Time())
	require.Equal(t, ev.ID(), back.ID())
	data, err := eventSold.Decode(back)
	require.NoError(t, err)
	require.Equal(t, receipt{Number: math.MaxInt64}, data)
}

func TestEveryEventHasItsOwnID(t *testing.T) {
	t.Parallel()
	one, err := eventSold.New("ord_1", time.Now(), receipt{})
	require.NoError(t, err)
	two, err := eventSold.New("ord_1", time.Now(), receipt{})
	require.NoError(t, err)
	require.NotEqual(t, one.ID(), two.ID())
}

func TestEventOfAnotherTypeIsNotDecoded(t *testing.T) {
	t.Parallel()
	ev, err := eventReturned.New("ord_1", time.Now(), receipt{Number: 7})
	require.NoError(t, err)
	_, err = eventSold.Decode(ev)
	require.ErrorContains(t, err, "is of type shop.tea.returned.v1, not shop.tea.sold.v1")
}

func TestEventWithBadDataIsNotDecoded(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"nothing":    "",
		"broken":     `{"number":`,
		"wrong type": `{"number":"seven"}`,
		"too large":  `{"number":9223372036854775808}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev, err := eventSold.New("ord_1", time.Now(), receipt{})
			require.NoError(t, err)
			ev.DataEncoded = []byte(data)
			_, err = eventSold.Decode(ev)
			require.ErrorContains(t, err, ev.ID(), "the message must tell which event it is")
		})
	}
}

func TestEventGrowsAdditively(t *testing.T) {
	t.Parallel()
	ev, err := eventSold.New("ord_1", time.Now(), receipt{})
	require.NoError(t, err)
	ev.DataEncoded = []byte(`{"number":7,"added_later":true}`)
	data, err := eventSold.Decode(ev)
	require.NoError(t, err)
	require.Equal(t, receipt{Number: 7}, data)
}

func TestDataThatCannotBeWrittenIsNoEvent(t *testing.T) {
	t.Parallel()
	broken := contract.Event[chan int]{Type: "shop.tea.spilt.v1"}
	_, err := broken.New("ord_1", time.Now(), make(chan int))
	require.ErrorContains(t, err, "shop.tea.spilt.v1")
}

package shipment

import (
	"sync"
	"time"
)

// Checkpoint is how far a booking got.
type Checkpoint struct {
	// Ticket is the carrier's, once there is one.
	Ticket string `json:"ticket,omitempty"`
	Stage  Stage  `json:"stage"`
}

// Submitting is the stage before the carrier has given a ticket.
const Submitting Stage = "submitting"

// Progress connects a long Book with the one who waits for it. Every field may be left empty.
type Progress struct {
	// Resume is the last checkpoint of an attempt before this one.
	Resume Checkpoint
	// Report is called at each step, and with the last checkpoint again once per Timing.Poll while the carrier is being
	// asked. It is called once at a time, by several goroutines, and by none after Book has returned.
	Report func(Checkpoint)
	// Stop is closed when this process wants to end: Book then returns a retryable failure, and another process goes
	// on from the last checkpoint.
	Stop <-chan struct{}
}

// signs are the signs of life that a Book gives. One step may ask the carrier several times, each for as long as
// Timing.Call: if only its end were reported, the process would be taken for dead and another one begin the same step.
type signs struct {
	every  time.Duration
	report func(Checkpoint)

	mu   sync.Mutex
	last Checkpoint
}

func newSigns(p Progress, every time.Duration) *signs {
	s := &signs{every: every, report: p.Report, last: p.Resume}
	if s.report == nil {
		s.report = func(Checkpoint) {}
	}
	if s.last.Stage == "" {
		s.last.Stage = Submitting
	}
	return s
}

// reached reports a checkpoint.
func (s *signs) reached(c Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = c
	s.report(c)
}

// again reports the last checkpoint: what an earlier attempt had reached must not be forgotten either.
func (s *signs) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report(s.last)
}

// during runs a step, and gives a sign of life from time to time until it is over.
func (s *signs) during(step func() error) error {
	over := make(chan struct{})
	var giving sync.WaitGroup
	giving.Go(func() {
		ticker := time.NewTicker(s.every)
		defer ticker.Stop()
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
				s.again()
			}
		}
	})
	defer giving.Wait()
	defer close(over)
	return step()
}

package saga_test

import (
	"sync"
	"time"
)

// attempt is the script of one attempt of an activity. The zero value succeeds at once.
type attempt struct {
	// wait is how long no worker takes it.
	wait time.Duration
	// work passes until the effect, answer from the effect to the answer.
	work, answer time.Duration
	// fail is what the service answers instead of doing anything.
	fail error
	// lost means that the service does it, but its answer never arrives; dies, that the worker is gone before.
	lost, dies bool
	// heeds means that the worker stops when it hears that it is called off.
	heeds bool

	// Hooks: nobody has taken the attempt yet, a worker has begun it, the service has done it, it has failed and is to
	// be tried again.
	queued, begun, done, failed func()
}

// script says how the attempts of each call go. Where it is silent they succeed at once.
type script struct {
	mu      sync.Mutex
	planned map[string][]attempt
	ever    map[string]attempt
	// turn holds attempts on their way from the platform to the service.
	turn map[string][]attempt
	// alone means that no platform asks for attempts.
	alone bool
}

func newScript() *script {
	return &script{
		planned: make(map[string][]attempt), ever: make(map[string]attempt), turn: make(map[string][]attempt),
	}
}

// plan adds the next attempts of a call.
func (s *script) plan(key string, attempts ...attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned[key] = append(s.planned[key], attempts...)
}

// always says how all attempts go that are not planned.
func (s *script) always(key string, a attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ever[key] = a
}

// next returns the attempt that begins now.
func (s *script) next(key string) attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pop(s.planned, key, s.ever[key])
}

// handOver passes an attempt to the service that is about to be called.
func (s *script) handOver(key string, a attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn[key] = append(s.turn[key], a)
}

// serve returns the attempt that the service is called for.
func (s *script) serve(key string) attempt {
	if s.alone {
		return s.next(key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return pop(s.turn, key, attempt{})
}

func pop(from map[string][]attempt, key string, otherwise attempt) attempt {
	if len(from[key]) == 0 {
		return otherwise
	}
	a := from[key][0]
	from[key] = from[key][1:]
	return a
}

func times(n int, a attempt) []attempt {
	out := make([]attempt, n)
	for i := range out {
		out[i] = a
	}
	return out
}

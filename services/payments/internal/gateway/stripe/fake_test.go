package stripe_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// server speaks Stripe's wire format: forms in, JSON out, errors as Stripe words them, answers remembered by
// idempotency key, and a search that knows nothing of what is new.
type server struct {
	*httptest.Server

	mu         sync.Mutex
	intents    map[string]*intent
	refunds    []refund
	remembered map[string]answer
	processed  map[string]bool
	requests   []*http.Request
	// broken answers every request instead, if it is set.
	broken func(http.ResponseWriter, *http.Request)
}

type intent struct {
	ID               string            `json:"id"`
	Object           string            `json:"object"`
	Amount           int64             `json:"amount"`
	Currency         string            `json:"currency"`
	Status           string            `json:"status"`
	Created          int64             `json:"created"`
	Metadata         map[string]string `json:"metadata"`
	LastPaymentError map[string]any    `json:"last_payment_error"`

	refunded int64
}

type refund struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	Amount        int64             `json:"amount"`
	PaymentIntent string            `json:"payment_intent"`
	Status        string            `json:"status"`
	Metadata      map[string]string `json:"metadata"`
}

type answer struct {
	status int
	body   any
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{intents: map[string]*intent{}, remembered: map[string]answer{}, processed: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/payment_intents", s.handle(s.create))
	mux.HandleFunc("GET /v1/payment_intents", s.handle(s.list))
	mux.HandleFunc("GET /v1/payment_intents/search", s.handle(func(*http.Request, url.Values) answer {
		return answer{200, map[string]any{"object": "search_result", "data": []any{}, "has_more": false}}
	}))
	mux.HandleFunc("GET /v1/payment_intents/{id}", s.handle(s.retrieve))
	mux.HandleFunc("POST /v1/payment_intents/{id}/capture", s.handle(s.move("requires_capture", "succeeded")))
	mux.HandleFunc("POST /v1/payment_intents/{id}/cancel", s.handle(s.move("requires_capture", "canceled")))
	mux.HandleFunc("POST /v1/refunds", s.handle(s.refund))
	mux.HandleFunc("GET /v1/refunds", s.handle(s.listRefunds))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *server) handle(fn func(*http.Request, url.Values) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// Read first: a server notices that a client hangs up only after it has read the request.
		_ = r.ParseForm()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.broken != nil {
			s.broken(w, r)
			return
		}
		s.requests = append(s.requests, r)
		key := r.Header.Get("Idempotency-Key")
		a, known := s.remembered[key]
		if !known || key == "" || r.Method != http.MethodPost {
			a = fn(r, r.Form)
			s.remembered[key] = a
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_ = json.NewEncoder(w).Encode(a.body)
	}
}

func problem(status int, kind, code, declineCode string, in *intent) answer {
	e := map[string]any{"type": kind, "code": code, "message": "It did not work."}
	if declineCode != "" {
		e["decline_code"] = declineCode
	}
	if in != nil {
		e["payment_intent"] = in
	}
	return answer{status, map[string]any{"error": e}}
}

func metadata(form url.Values) map[string]string {
	out := map[string]string{}
	for name, values := range form {
		if key, ok := strings.CutPrefix(name, "metadata["); ok {
			out[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return out
}

func (s *server) create(_ *http.Request, form url.Values) answer {
	amount, _ := strconv.ParseInt(form.Get("amount"), 10, 64)
	in := &intent{
		ID: fmt.Sprintf("pi_%d", len(s.intents)+1), Object: "payment_intent", Amount: amount,
		Currency: form.Get("currency"), Created: time.Now().Unix(), Metadata: metadata(form), Status: "requires_capture",
	}
	code, declineCode := "card_declined", ""
	switch token := form.Get("payment_method"); token {
	case "pm_card_visa", "pm_card_mastercard":
	case "pm_card_chargeDeclined":
		declineCode = "generic_decline"
	case "pm_card_chargeDeclinedInsufficientFunds":
		declineCode = "insufficient_funds"
	case "pm_card_chargeDeclinedFraudulent":
		declineCode = "fraudulent"
	case "pm_card_chargeDeclinedProcessingError":
		// The real one fails for ever; this one fails once for an order.
		if order := in.Metadata["orderflow_order"]; !s.processed[order] {
			s.processed[order] = true
			code, declineCode = "processing_error", "processing_error"
		}
	default:
		return problem(400, "invalid_request_error", "resource_missing", "", nil)
	}
	s.intents[in.ID] = in
	if declineCode != "" {
		in.Status = "requires_payment_method"
		in.LastPaymentError = map[string]any{"type": "card_error", "code": code, "decline_code": declineCode}
		return problem(402, "card_error", code, declineCode, in)
	}
	return answer{200, *in}
}

func (s *server) retrieve(r *http.Request, _ url.Values) answer {
	in, ok := s.intents[r.PathValue("id")]
	if !ok {
		return problem(404, "invalid_request_error", "resource_missing", "", nil)
	}
	return answer{200, *in}
}

// list answers one intent per page, newest first, so that the adapter has to turn pages.
func (s *server) list(_ *http.Request, form url.Values) answer {
	since, _ := strconv.ParseInt(form.Get("created[gte]"), 10, 64)
	ids := slices.SortedFunc(maps.Keys(s.intents), func(a, b string) int {
		return strings.Compare(fmt.Sprintf("%9s", b), fmt.Sprintf("%9s", a))
	})
	if after := form.Get("starting_after"); after != "" {
		ids = ids[slices.Index(ids, after)+1:]
	}
	data := []any{}
	for _, id := range ids {
		if s.intents[id].Created >= since {
			data = append(data, *s.intents[id])
			break
		}
	}
	return answer{200, map[string]any{"object": "list", "data": data, "has_more": len(ids) > 1}}
}

func (s *server) move(from, to string) func(*http.Request, url.Values) answer {
	return func(r *http.Request, _ url.Values) answer {
		in, ok := s.intents[r.PathValue("id")]
		if !ok {
			return problem(404, "invalid_request_error", "resource_missing", "", nil)
		}
		if in.Status != from {
			return problem(400, "invalid_request_error", "payment_intent_unexpected_state", "", in)
		}
		in.Status = to
		return answer{200, *in}
	}
}

func (s *server) refund(_ *http.Request, form url.Values) answer {
	in, ok := s.intents[form.Get("payment_intent")]
	amount, _ := strconv.ParseInt(form.Get("amount"), 10, 64)
	if !ok || in.Status != "succeeded" || amount > in.Amount-in.refunded {
		return problem(400, "invalid_request_error", "charge_already_refunded", "", nil)
	}
	in.refunded += amount
	r := refund{
		ID: fmt.Sprintf("re_%d", len(s.refunds)+1), Object: "refund", Amount: amount, PaymentIntent: in.ID,
		Status: "succeeded", Metadata: metadata(form),
	}
	s.refunds = append(s.refunds, r)
	return answer{200, r}
}

func (s *server) listRefunds(_ *http.Request, form url.Values) answer {
	data := []any{}
	for _, r := range s.refunds {
		if r.PaymentIntent == form.Get("payment_intent") {
			data = append(data, r)
		}
	}
	return answer{200, map[string]any{"object": "list", "data": data, "has_more": false}}
}

package httpserver

import (
	"net/http"
	"strings"

	"github.com/orderflow/orderflow/pkg/caller"
	"github.com/orderflow/orderflow/pkg/errs"
)

// The headers of DevelopmentIdentity.
const (
	HeaderSubject = "Orderflow-Subject"
	HeaderScopes  = "Orderflow-Scopes"
)

const (
	developmentSubject = "development"
	maxSubject         = 128
	maxScopes          = 1024
)

var errCaller = errs.New(errs.Malformed, "caller_malformed",
	"The headers that name the caller must be short, visible ASCII text, and appear once.")

// DevelopmentIdentity believes what the request says about its caller: the subject in Orderflow-Subject (without it
// "development"), the scopes, separated by spaces, in Orderflow-Scopes (without it every scope). It protects nothing
// and stands in until requests are authenticated. It returns a malformed failure for a header that is no such name.
func DevelopmentIdentity(r *http.Request) (caller.Caller, error) {
	subject, scopes := developmentSubject, []string{caller.ScopeAll}
	if values := r.Header.Values(HeaderSubject); len(values) > 0 {
		subject = values[0]
		if len(values) > 1 || len(subject) > maxSubject || !visibleASCII(subject) {
			return caller.Caller{}, errCaller.WithFields(headerField(HeaderSubject))
		}
	}
	if values := r.Header.Values(HeaderScopes); len(values) > 0 {
		scopes = strings.Fields(values[0])
		if len(values) > 1 || len(values[0]) > maxScopes || !visibleASCII(strings.Join(scopes, "")+"-") {
			return caller.Caller{}, errCaller.WithFields(headerField(HeaderScopes))
		}
	}
	return caller.Caller{Subject: subject, Scopes: scopes}, nil
}

func headerField(name string) errs.Field {
	return errs.Field{Pointer: "header/" + name, Code: "format", Message: "Must be short, visible ASCII text."}
}

// visibleASCII reports whether s has a character, and only those that can be seen.
func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return s != ""
}

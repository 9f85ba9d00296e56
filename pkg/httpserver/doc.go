// Package httpserver is the HTTP edge that all services share: an echo server that has checked every request against
// the service's OpenAPI document before a handler sees it, answers every failure as an RFC 9457 problem, logs and
// measures, and stops without losing a request. It must not know any service's domain, and decides nothing about
// money or orders.
//
// # How a service uses it
//
//	spec, err := httpapi.GetSpec()
//	e := httpserver.New(httpserver.Config{Spec: spec, Log: log, Registry: registry})
//	httpapi.RegisterHandlers(e, httpapi.NewStrictHandler(server, nil))
//	group.Go(func() error { return httpserver.Serve(ctx, "api", cfg.Addr, e, drain, log) })
//
// Handlers return (response, error). An *errs.Error anywhere in the error's chain decides the answer; any other error
// is a 500 whose text only the log sees. The ops server says "draining" while the others drain, so its own context
// ends last:
//
//	opsCtx, stopOps := context.WithCancel(context.WithoutCancel(ctx))
//	ops := httpserver.Ops(ctx, registry, map[string]httpserver.Check{"database": pool.Ping})
//	group.Go(func() error { return httpserver.Serve(opsCtx, "ops", cfg.OpsAddr, ops, drain, log) })
//	// … and stopOps() when the other parts have stopped.
//
// # What reaches a handler
//
// The path and the query are UTF-8 without NUL, and every query parameter is a declared one. A JSON body is UTF-8, has
// no NUL in any text, names no field twice, nests at most 32 deep, ends where its value ends, and keeps the schema.
// Integers are exact: 1.0, 1e3 and what exceeds the type are refused. A client error that concerns values lists them
// in errors[]: a body's by JSON pointer ("/lines/0/quantity"), a parameter's by place and name ("query/limit"). What
// cannot be read is 400 (request_malformed), what can be read and breaks a rule is 422 (request_invalid).
//
// Defaults in the document are documentation: they are not filled in.
//
// # The document
//
// testdata/openapi.yaml is a complete small example in the style of the house, to copy from; openapitest.HouseStyle
// checks that a document keeps the style. On operations there are
// two extensions: x-max-body-bytes replaces the limit of 1 MiB; x-stream: true, or the media type text/csv, hands the
// body to the handler unread, limited in size but unchecked.
//
// Code is generated with these settings of oapi-codegen. oapi-server.yaml:
//
//	package: httpapi
//	output: internal/httpapi/api.gen.go
//	generate:
//	  echo-server: true
//	  strict-server: true
//	  models: true
//	  embedded-spec: true
//	output-options:
//	  name-normalizer: ToCamelCaseWithInitialisms
//
// and oapi-client.yaml:
//
//	package: client
//	output: client/client.gen.go
//	generate:
//	  client: true
//	  models: true
//	output-options:
//	  name-normalizer: ToCamelCaseWithInitialisms
//	  response-type-suffix: HTTPResponse
//
// The suffix keeps the client's wrapper of, say, createPayment from clashing with a schema CreatePaymentResponse.
package httpserver

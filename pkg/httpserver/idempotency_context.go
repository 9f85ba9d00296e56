package httpserver

import "context"

func withIdempotencyRequest(ctx context.Context, _, _ string, _ []byte) context.Context { return ctx }

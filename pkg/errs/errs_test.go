package errs_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orderflow/orderflow/pkg/errs"
)

var declined = errs.New(errs.Declined, "payment_declined", "The payment was declined.")

func TestCopiesCompareEqualToWhatWasDeclared(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("authorize: %w", declined.WithCause(io.EOF).WithMessage("The card of %s was declined.", "your bank"))

	require.ErrorIs(t, err, declined)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "The payment was declined.", declined.Message, "the declaration is not touched")
	require.NoError(t, errors.Unwrap(declined))
}

func TestFromKeepsAKnownFailureAndHidesAnUnknownOne(t *testing.T) {
	t.Parallel()
	require.Equal(t, "payment_declined", errs.From(fmt.Errorf("saga: %w", declined)).Code)

	hidden := errs.From(io.ErrUnexpectedEOF)
	require.Equal(t, errs.Internal, hidden.Kind)
	require.NotContains(t, hidden.Message, "EOF")
	require.ErrorIs(t, hidden, io.ErrUnexpectedEOF)
}

func TestOnlyFailuresThatTimeMayCureAreRetryable(t *testing.T) {
	t.Parallel()
	retryable := map[errs.Kind]bool{
		errs.Internal: true, errs.Unavailable: true, errs.OutcomeUnknown: true,
		errs.Malformed: false, errs.Invalid: false, errs.Unauthenticated: false, errs.Forbidden: false,
		errs.NotFound: false, errs.Conflict: false, errs.TooLarge: false, errs.Declined: false,
	}
	for kind, want := range retryable {
		require.Equal(t, want, kind.Retryable(), kind)
	}
}

#!/bin/sh
# Makes the namespace TEMPORAL_NAMESPACE and waits until it can be used. It is repeatable.
set -eu

temporal operator namespace describe >/dev/null 2>&1 ||
	temporal operator namespace create --retention 7d "$TEMPORAL_NAMESPACE"

# For a second the server remembers that there was no such namespace.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	if temporal workflow list --limit 1 >/dev/null; then
		exit 0
	fi
	sleep 1
done
exit 1

# One image for each program, from the same pattern. `make images` builds all, `make image-payments` one; by hand:
#
#   docker build --build-arg MODULE=services/payments --build-arg PROGRAM=payments -t orderflow/payments:dev .
#
# What runs for long is the default target; what ends by itself is `--target command`.

ARG VERSION=dev

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ARG MODULE PROGRAM VERSION COMMIT TARGETOS TARGETARCH
WORKDIR /src/$MODULE
ENV CGO_ENABLED=0 GOWORK=off GOOS=$TARGETOS GOARCH=$TARGETARCH
RUN --mount=type=bind,target=/src \
    --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    service=github.com/orderflow/orderflow/pkg/service && \
    go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X $service.version=$VERSION -X $service.commit=$COMMIT" -o /out/app "./cmd/$PROGRAM"

FROM gcr.io/distroless/static-debian12:nonroot AS command
ARG PROGRAM VERSION COMMIT
LABEL org.opencontainers.image.title="orderflow/$PROGRAM" \
      org.opencontainers.image.source="https://github.com/orderflow/orderflow" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --from=build /out/app /app
# nonroot, by its number: by its name Kubernetes could not tell that it is not root.
USER 65532:65532
ENTRYPOINT ["/app"]
CMD ["help"]

FROM command
EXPOSE 8080 9090
HEALTHCHECK --interval=2s --timeout=4s --start-period=30s --retries=3 CMD ["/app", "healthcheck"]
CMD ["serve"]

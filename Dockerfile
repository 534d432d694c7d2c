# The worker as a static binary on an empty file system, not run as root.
#
#   docker build --build-arg VERSION=1.2.3 --build-arg COMMIT="$(git rev-parse HEAD)" -t activation-worker .
#   docker run --rm activation-worker version

FROM golang:1.26.8-bookworm AS builder
WORKDIR /src

# The modules change seldom: a layer of their own.
COPY go.mod go.sum ./
RUN go mod download

COPY cmd ./cmd
COPY internal ./internal
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT}" \
    -o /out/worker ./cmd/worker

# Whoever passes the image on passes on the licences of what is in it, Go's and those of embedded files too.
RUN CGO_ENABLED=0 go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./cmd/worker | sort -u \
  | while read -r module dir; do \
      mkdir -p "/out/licenses/$module" \
      && find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' -o -iname 'unlicense*' \) \
        -exec cp {} "/out/licenses/$module/" ';' || exit 1; \
    done \
 && mkdir -p /out/licenses/go && cp "$(go env GOROOT)/LICENSE" /out/licenses/go/ \
 && find internal -type f \( -iname 'licen[cs]e' -o -iname 'licen[cs]e.txt' \) | while read -r text; do \
      folder="/out/licenses/$(basename "$(dirname "$text")")" && mkdir -p "$folder" && cp "$text" "$folder/" || exit 1; \
    done

# What an empty file system lacks: certificate roots, time zones (Go's own copy, one file) and a place for temporary files.
RUN mkdir -p /out/etc/ssl/certs /out/usr/share /out/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ \
 && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /out/usr/share/zoneinfo.zip \
 && chmod 1777 /out/tmp

FROM scratch
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="activation-worker" \
      org.opencontainers.image.description="Activates LINE WORKS customers once they have accepted the terms of service" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"

COPY --from=builder /out/ /

# A container's own file system does not last, so it never starts the embedded server: NATS_URL names the servers.
# Probes come from outside the container, hence every address; the console stays on loopback until somebody says otherwise.
ENV ZONEINFO=/usr/share/zoneinfo.zip \
    WORKER_EMBEDDED_NATS=never \
    WORKER_HTTP_ADDR=0.0.0.0:8080

USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/worker"]
CMD ["run"]

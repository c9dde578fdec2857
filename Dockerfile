# syntax=docker/dockerfile:1
# Holdfast as one static program. `docker build .` makes the image without a shell; repositories over https need no more.
# `docker build --target ssh .` makes the one with an ssh client, for repositories at ssh:// and user@host:path.

FROM rust:1.95-bookworm AS build
# The program holds the list of what it was built from, for scanners such as Trivy, Grype and `cargo audit bin`.
RUN cargo install --locked cargo-auditable --version 0.7.7
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY agent agent
COPY diff diff
# `holdfast install` contains them.
COPY manifests manifests
# A member of the workspace, so that Cargo.lock is valid; nothing of it is built.
COPY tests tests
# The target is named, so that crt-static does not reach the build scripts and procedural macros.
ENV RUSTFLAGS="-C target-feature=+crt-static"
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    target="$(uname -m)-unknown-linux-gnu" && \
    cargo auditable build --locked --release -p holdfast --bin holdfast --target "$target" && \
    cp "target/$target/release/holdfast" /holdfast

# Helm at the version that the tests render with: its module, pinned by go.sum.
FROM golang:1.26-bookworm AS helm
WORKDIR /src
COPY tests tests
WORKDIR /src/tests/harness/go/helm
RUN --mount=type=cache,target=/go/pkg/mod \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /helm helm.sh/helm/v4/cmd/helm

FROM debian:bookworm-slim AS ssh
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates openssh-client && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --uid 65532 --user-group --create-home nonroot
COPY --from=build /holdfast /holdfast
COPY --from=helm /helm /usr/local/bin/helm
USER 65532
ENTRYPOINT ["/holdfast"]
CMD ["agent"]

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /holdfast /holdfast
COPY --from=helm /helm /usr/local/bin/helm
USER 65532
ENTRYPOINT ["/holdfast"]
CMD ["agent"]

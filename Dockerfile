# The build stage brings what vendored OpenSSL and librdkafka are built with: gcc, make, perl. What is downloaded and built is kept in
# BuildKit's cache, so that a change of a source file builds that file's crate and what depends on it.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bin keytrail && strip -o /usr/local/bin/keytrail target/release/keytrail

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 keytrail \
    && useradd --uid 10001 --gid 10001 --no-log-init --create-home --home-dir /var/lib/keytrail --shell /usr/sbin/nologin keytrail
COPY --from=build /usr/local/bin/keytrail /usr/local/bin/keytrail
ENV KEYTRAIL_DIR=/var/lib/keytrail
WORKDIR /var/lib/keytrail
# In numbers, so that Kubernetes can see that it is not root.
USER 10001:10001
# What is healthy depends on the role: whoever runs it asks /healthz.
HEALTHCHECK NONE
ENTRYPOINT ["keytrail"]
CMD ["--help"]

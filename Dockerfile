FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --bin keytrail

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/keytrail keytrail
COPY --from=build /src/target/release/keytrail /usr/local/bin/keytrail
USER keytrail
ENTRYPOINT ["keytrail"]
CMD ["--help"]

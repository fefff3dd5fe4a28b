# The shop as one image: the page, then the binary with the page in it, then a slim system with the libraries that it is linked
# with. It runs as a user who owns nothing but its data directory, /var/lib/kartshoppe.

FROM node:22.21.1-trixie-slim AS page
WORKDIR /build/ui
COPY ui/package.json ui/package-lock.json ./
# tools/ui.sh says why `npm ci` may refuse.
RUN --mount=type=cache,target=/root/.npm \
  npm ci --no-audit --no-fund --loglevel=silent || npm install --no-save --no-audit --no-fund --loglevel=error
COPY ui ./
RUN npm run build

FROM rust:1.95.0-slim-trixie AS binary
RUN apt-get update \
  && apt-get install -y --no-install-recommends binutils g++ libpq-dev libssl-dev make perl pkg-config zlib1g-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY .sqlx .sqlx
COPY benches benches
COPY config config
COPY docs/workshop docs/workshop
COPY exercises exercises
COPY migrations migrations
COPY src src
COPY --from=page /build/ui/dist ui/dist
COPY --from=page /build/ui/dist-ops ui/dist-ops
# The cache is not part of the image, so the program is copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
  cargo build --profile dist --locked && cp target/dist/kartshoppe /kartshoppe
# Names of functions stay in the program, for backtraces; lines of the source go to a file beside it: `docker build --target debug`.
RUN objcopy --only-keep-debug --compress-debug-sections=zlib /kartshoppe /kartshoppe.debug \
  && objcopy --strip-debug --add-gnu-debuglink=/kartshoppe.debug /kartshoppe

# Only for debuggers and profilers: docker build --target debug --output . .
FROM scratch AS debug
COPY --from=binary /kartshoppe.debug /

FROM debian:13.2-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates libpq5 libssl3t64 zlib1g \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --uid 10001 --user-group --home-dir /var/lib/kartshoppe --create-home kartshoppe
COPY --from=binary /kartshoppe /usr/local/bin/kartshoppe
COPY tools/compose/ready.sh /usr/local/bin/kartshoppe-ready
WORKDIR /app
COPY config config
COPY data data
USER 10001:10001
ENV KARTSHOPPE__DATA_DIR=/var/lib/kartshoppe
VOLUME ["/var/lib/kartshoppe"]
EXPOSE 8081
ENTRYPOINT ["kartshoppe"]
CMD ["serve"]

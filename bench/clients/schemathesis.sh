#!/usr/bin/env bash
# Holds the HTTP API against its own description: schemathesis makes requests
# of /v1/openapi.json, valid ones and not, to every operation, and checks each
# answer's status, type and schema. The server is that of leat (TestServeAPI of
# cmd/leat), with its gate, web push and views whose streams end soon.
#
#   bench/clients/schemathesis.sh [more arguments of `st run`]
#
# Wants Go, curl and Python 3.10 or later with venv; schemathesis itself is
# installed from PyPI into CLIENTS_CACHE (default: the user's cache folder).
set -euo pipefail
cd "$(dirname "$0")/../.."
config=$PWD/bench/clients/schemathesis.toml

version=4.32.5
cache=${CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/leat-clients}
venv=$cache/schemathesis-$version
if [ ! -x "$venv/bin/st" ]; then
  mkdir -p "$cache"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
fi

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
go test -c -o "$work/leat.test" ./cmd/leat
(cd cmd/leat && API=127.0.0.1:$port exec "$work/leat.test" -test.run '^TestServeAPI$' -test.timeout 0) >"$work/log" 2>&1 &
server=$!
auth='Authorization: Bearer test'
for _ in $(seq 100); do
  curl -fsS -H "$auth" "http://127.0.0.1:$port/v1/views/orders/products" >/dev/null 2>&1 && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done

cd "$work"
"$venv/bin/st" --config-file "$config" run "http://127.0.0.1:$port/v1/openapi.json" --no-color -H "$auth" \
  --seed "${SEED:-$RANDOM}" --max-examples "${MAX_EXAMPLES:-25}" "$@"

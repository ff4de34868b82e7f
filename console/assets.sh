#!/bin/sh
# Puts what the pages of the console load into console/static/vendor: htmx with its streams.
# The packages and their hashes are in package-lock.json; no script of a package is run.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --loglevel error > /dev/null
mkdir -p console/static/vendor
cp node_modules/htmx.org/dist/htmx.min.js node_modules/htmx.org/dist/ext/hx-sse.min.js console/static/vendor/

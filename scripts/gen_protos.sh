#!/usr/bin/env bash
# Generates chassis/pb from protos/user.proto; `--check` fails when what is committed is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$python" -m grpc_tools.protoc -I protos --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" protos/user.proto
# The generator writes an absolute import, which only works with the folder itself on the path.
sed -i 's/^import user_pb2 as/from chassis.pb import user_pb2 as/' "$out/user_pb2_grpc.py"
if [ "${1:-}" = --check ]; then
  for file in "$out"/*; do
    cmp -s "$file" "chassis/chassis/pb/$(basename "$file")" || { echo "chassis/chassis/pb/$(basename "$file") is stale: run make proto" >&2; exit 1; }
  done
else
  cp "$out"/* chassis/chassis/pb/
fi

#!/bin/sh
# Generates chassis/chassis/pb from protos/user.proto, into the folder given or the one that is committed.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/chassis/chassis/pb}
python=${PYTHON:-$root/.venv/bin/python}
"$python" -m grpc_tools.protoc -I "$root/protos" --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" user.proto
# protoc imports its own output as a top-level module; here it is part of a package.
sed -i 's/^import user_pb2 as /from . import user_pb2 as /' "$out/user_pb2_grpc.py"

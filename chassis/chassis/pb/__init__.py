"""Code generated from protos/ by scripts/gen_protos.sh; not edited by hand."""

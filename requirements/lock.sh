#!/bin/sh
# Pin every version with its hashes, and no address of a registry. Needs uv.
set -eu
cd "$(dirname "$0")/.."
pin() {
    out=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
        --no-header --no-annotate --no-emit-index-url --output-file "requirements/$out.txt" "$@"
}
printf 'hatchling\npip\neditables\n' | pin build -
pin run --extra embedded pyproject.toml
pin dev --extra embedded --extra dev --constraint requirements/run.txt pyproject.toml
# Generators of clients, and what their clients need.
printf 'openapi-generator-cli\nopenapi-python-client\npydantic\npython-dateutil\nurllib3\n' |
    pin clients --constraint requirements/dev.txt -
printf 'matplotlib\n' | pin bench --constraint requirements/dev.txt -

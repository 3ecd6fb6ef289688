#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run --timeout=900
#
# Malformed, hostile and gigantic documents of containers. Each member with each wrong type with CTR_TEST_FAULTS=all.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

documents=$(dirname "$(realpath "${BASH_SOURCE[0]}")")/oci-documents

check "members of a wrong type: a sentence with their path" "$documents" wrong_types
check "what is no JSON: a sentence with line and column" "$documents" malformed
check "what is quoted stays one printable line, and gets lost nowhere" "$documents" odd_texts
check "what is too large is not read" "$documents" gigantic
check "what is no file" "$documents" no_file

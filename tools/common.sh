# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Where things are, for all scripts: the source tree, what is kept between calls, and the build directory that is used
# when none is named (one for each source tree)

source_dir=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
cache_dir=${XDG_CACHE_HOME:-/var/cache}/ctr-testbed
# shellcheck disable=SC2034 # not every script that sources this uses it
default_build=$cache_dir/build-$(sha256sum <<<"$source_dir" | cut -c1-16)

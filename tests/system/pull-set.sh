# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The trees of a whole set of images, from a Debian root to a layer without a byte, are what umoci unpacks (A1.5, A1.31)
#
# testbed: run --timeout=900

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/pull-lib"

# of those that umoci cannot read, the one with the same files
declare -A same=([zstd]=layers [foreign]=busybox)

registry_start
while read -r name; do
        # an index with all that is in it
        image_push "$name" "$name:1" --multi-arch=all
        compare "$name" "localhost:5000/$name:1" "$images_dir/${same[$name]:-$name}"
        rm -rf "$store"
done <"$images_dir/set"

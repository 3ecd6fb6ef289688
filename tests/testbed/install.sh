# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The build and its installed image, for the test bed
#
# 'install_build' leaves the files of 'meson install --destdir' in $install_dir, made new only when a file that gets
# installed is newer than the last installation: with nothing to do it costs two process starts.
# Invariant: $install_dir is complete whenever its stamp exists; readers hold the lock shared, the writer exclusively.

# Whether no file that gets installed changed since the stamp was made.
install_is_current() {
        local stamp=$1.stamp list=$1.files
        local -a files

        [[ -f $stamp && -f $list ]] || return 1
        mapfile -t files <"$list"
        [[ -z $(find "${files[@]}" -newer "$stamp" -print -quit 2>&1) ]]
}

# Make $install_dir new. The stamp is as old as the start, so that what changes meanwhile is not missed.
install_files() {
        rm -rf "$install_dir" "$install_dir.stamp"
        touch "$install_dir.new"
        DESTDIR=$install_dir meson install --no-rebuild --quiet -C "$opt_build" >"$install_dir.log" 2>&1 || {
                cat "$install_dir.log" >&2
                fail "installing from $opt_build failed"
        }
        mkdir -p "$install_dir"
        {
                echo "$opt_build/meson-info/intro-installed.json"
                meson introspect --installed "$opt_build" |
                        /usr/bin/python3 -c 'import json, sys
for name in json.load(sys.stdin):
        print(name)'
        } >"$install_dir.files"
        mv "$install_dir.new" "$install_dir.stamp"
}

# Build, install, and set $install_dir. Leaves the file descriptor $install_lock open with a shared lock on it: the
# files stay as they are until install_release.
install_build() {
        local key

        key=$(printf '%s' "$opt_build" | sha256sum | cut -c1-16)
        install_dir=$cache_dir/install-$key
        mkdir -p "$cache_dir"
        exec {install_lock}>"$install_dir.lock"

        if [[ $opt_install == rebuild ]]; then
                flock "$install_lock"
                "$source_dir/tools/build" "$opt_build" || fail "building in $opt_build failed"
        else
                flock -s "$install_lock"
        fi
        if ! install_is_current "$install_dir"; then
                flock "$install_lock"
                install_is_current "$install_dir" || install_files
        fi
        flock -s "$install_lock"
        note "build installed"
}

# Release the lock, also where nothing was installed.
install_release() {
        [[ -z ${install_lock:-} ]] || exec {install_lock}>&-
        install_lock=
}

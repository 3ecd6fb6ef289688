# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A registry on loopback inside the test bed, for the system tests and the demo
#
# Whoever sources this sets test_dir to a directory for the registry's files, and defines die.

# The images of make-images, as the test bed is given them.
images_dir=/run/testbed-images

# wait_until SECONDS CMD...: repeat a cheap command until it succeeds. For states that have no event to wait for.
wait_until() {
        local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))

        shift
        until "$@" >/dev/null 2>&1; do
                ((${EPOCHREALTIME/./} < deadline)) || return 1
                sleep 0.01
        done
}

port_is_open() {
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# registry_serve LINE...: serve a registry at localhost:5000 with these lines added to its configuration.
registry_serve() {
        local config=$test_dir/registry.yml

        mkdir -p "$test_dir/registry"
        printf '%s\n' "version: 0.1" "log: {level: warn}" \
                "storage: {filesystem: {rootdirectory: $test_dir/registry}, delete: {enabled: true}}" \
                "http: {addr: '127.0.0.1:5000'}" "$@" >"$config"
        systemd-run --quiet --unit=test-registry.service -p KillSignal=SIGKILL docker-registry serve "$config" ||
                die "the registry cannot be started"
        wait_until 120 port_is_open 5000 || die "the registry does not listen: $(journalctl -u test-registry.service)"
}

# registry_start: a registry at localhost:5000 that anybody may use.
registry_start() {
        registry_serve
}

# registry_start_private USER HASH: one that asks for a password, given as htpasswd -B hashes it.
registry_start_private() {
        echo "$1:$2" >"$test_dir/htpasswd"
        registry_serve "auth: {htpasswd: {realm: test, path: $test_dir/htpasswd}}"
}

registry_stop() {
        systemctl stop test-registry.service
        systemctl reset-failed test-registry.service 2>/dev/null || :
}

# image_push IMAGE NAME:TAG [SKOPEO-OPTION...]: serve one of the prepared images (see make-images) from the registry.
image_push() {
        skopeo copy --quiet --dest-tls-verify=false "${@:3}" "oci:$images_dir/$1:latest" "docker://localhost:5000/$2" ||
                die "cannot push $1 as $2"
}

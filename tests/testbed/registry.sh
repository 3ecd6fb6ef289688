# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A registry on loopback inside the test bed, for the system tests and the demo
#
# Whoever sources this sets test_dir to a directory for the registry's files, and defines die.

# The images of make-images, as the test bed is given them.
images_dir=/run/testbed-images

# wait_until SECONDS CMD...: repeat a cheap command until it succeeds. For states that have no event to wait for. SECONDS
# is what an idle machine may need at most; beside others it is given a minute at least.
wait_until() {
        local deadline=$((${EPOCHREALTIME/./} + ($1 < 60 ? 60 : $1) * 1000000))

        shift
        until "$@" >/dev/null 2>&1; do
                ((${EPOCHREALTIME/./} < deadline)) || return 1
                sleep 0.01
        done
}

port_is_open() {
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# registry_serve_as NAME PORT LINE...: serve a registry by that name with these lines added to its configuration; one of
# them says where it listens. Its files are in $test_dir/NAME, its unit is test-NAME.service.
registry_serve_as() {
        mkdir -p "$test_dir/$1"
        printf '%s\n' "version: 0.1" "log: {level: warn}" \
                "storage: {filesystem: {rootdirectory: $test_dir/$1}, delete: {enabled: true}}" "${@:3}" >"$test_dir/$1.yml"
        systemd-run --quiet --unit="test-$1.service" -p KillSignal=SIGKILL docker-registry serve "$test_dir/$1.yml" ||
                die "the registry $1 cannot be started"
        wait_until 120 port_is_open "$2" || die "the registry $1 does not listen: $(journalctl -u "test-$1.service")"
}

# registry_serve LINE...: the registry at localhost:5000.
registry_serve() {
        registry_serve_as registry 5000 "http: {addr: '127.0.0.1:5000'}" "$@"
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

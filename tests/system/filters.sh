#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# testbed: run
#
# Filters of the listings (A0.5, A1.26, A5.16): containerd's grammar, fields of images, containers and tasks; and which
# tasks the metrics are of (A5.23).

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

image=localhost:5000/demo:latest

# listed METHOD [FILTER...]: print the last parts of the object paths that a method lists, sorted, on one line.
listed() {
        busctl --json=short call org.example.Ctr /org/example/Ctr org.example.Ctr.Manager "$1" 'a{sv}' 1 \
                Filters as $(($# - 1)) "${@:2}" |
                python3 -c 'import json, sys
print(*sorted(path.split("/")[-1] for path, _ in json.load(sys.stdin)["data"][0]))'
}

registry_start
image_push demo demo:latest
check "pull" ctrctl pull --quiet "$image"
check "a container with labels" ctrctl create --name web --label tier=front --label 'a.b/c=x y' "$image" sleep 1000
check "another one" ctrctl create --name db --label tier=back "$image" sleep 1000
check "a task" ctrctl run -d --name cache --label tier=back "$image" sleep 1000
check "one that has ended" ctrctl run -d --name over "$image" true
check "it is waited for" ctrctl wait over

# --- containers
check_equal "no filter lists all" "cache db over web" "$(listed ListContainers)"
check_equal "the empty one, too" "cache db over web" "$(listed ListContainers '')"
check_equal "by id" web "$(listed ListContainers id==web)"
check_equal "several are alternatives" "db web" "$(listed ListContainers id==web id==db)"
check_equal "a label is there" "cache db web" "$(listed ListContainers labels.tier)"
check_equal "a label has a value" "cache db" "$(listed ListContainers labels.tier==back)"
check_equal "one that is not there is unequal" "cache db over" "$(listed ListContainers 'labels.tier!=front')"
check_equal "a comma is and" db "$(listed ListContainers 'labels.tier==back,id!=cache')"
check_equal "names and values are quoted" web "$(listed ListContainers 'labels."a.b/c"=="x y"')"
check_equal "a regular expression" "db web" "$(listed ListContainers 'id~=^(db|web)$')"
check_equal "and a quoted one" "cache db over web" "$(listed ListContainers 'image~=/^localhost:5000\/demo/')"
check_equal "of the runtime" "" "$(listed ListContainers 'runtime.name==other')"
check_fails "bad syntax names the filter and the position" 'Filters: Filter 2, position 4: expected one of the operators' \
        listed ListContainers id==web 'tier=x'
check_fails "a bad regular expression, too" 'position 4: bad regular expression' listed ListContainers 'id~=('
check_fails "one that would fill the memory is refused" 'repeats too much' listed ListContainers 'id~=((a{255}){255}){255}'

# --- images
name=localhost_3a5000_2fdemo_3alatest
check_equal "images by name" $name "$(listed ListImages "name==$image")"
check_equal "by media type" $name "$(listed ListImages 'target.mediatype~=manifest')"
check_equal "by digest" "" "$(listed ListImages target.digest==sha256:0)"

# --- tasks
check_equal "tasks by status" cache "$(listed ListTasks status==RUNNING)"
check_equal "in another way" over "$(listed ListTasks status==STOPPED)"
check_equal "by the labels of the container" cache "$(listed ListTasks labels.tier)"
check_equal "by id, or as containerd says" cache "$(listed ListTasks container.id==cache)"
check_equal "by namespace" "cache over" "$(listed ListTasks namespace==default)"

# --- metrics
check_equal "metrics are of tasks that have not stopped" cache "$(listed Metrics)"
check_equal "by runtime" cache "$(listed Metrics 'runtime.name~=.')"
check_equal "by label" "" "$(listed Metrics labels.tier==front)"
check_fails "and with a bad filter there are none" 'position 0: expected a name' listed Metrics '=='

check "clean up" ctrctl rm --force web db cache over

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * linux.resources.devices as a BPF program of the cgroup (BPF_PROG_TYPE_CGROUP_DEVICE): the rules
 * in their order, the last one that matches decides, and what none matches is refused. The devices
 * that every container has (config-linux.md, "Default Devices") are allowed last.
 */

#include <jansson.h>
#include <linux/bpf.h>

#include "basic/error.h"

#define DEVICE_RULES_MAX    512U
#define DEVICE_PROGRAM_SIZE 8192U /* instructions */

int device_rules_check(json_t *rules, Error *e);

/* Compiles checked rules into program; returns the number of instructions. */
size_t device_filter_compile(json_t *rules, struct bpf_insn program[static DEVICE_PROGRAM_SIZE]);

/* Puts the filter on the cgroup, instead of the one that is there. CTR_NOT_IMPLEMENTED if this
 * kernel has no such programs. */
int device_filter_attach(json_t *rules, int cgroup_fd, Error *e);

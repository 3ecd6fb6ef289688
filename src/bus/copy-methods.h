/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Methods of org.example.Ctr.Container about its files: copy-methods.c and commit-methods.c. */

#include <systemd/sd-bus.h>

int method_diff(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_commit(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_export(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_copy_out(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_copy_in(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_stat_path(sd_bus_message *m, void *userdata, sd_bus_error *error);

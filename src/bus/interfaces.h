/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The interfaces of dbus/org.example.Ctr.xml, one file each. The names and types here and there are
 * the same; a test compares them.
 */

#include <systemd/sd-bus.h>

#include "bus/property.h"

#define MANAGER_INTERFACE   "org.example.Ctr.Manager"
#define IMAGE_INTERFACE     "org.example.Ctr.Image"
#define CONTAINER_INTERFACE "org.example.Ctr.Container"
#define TASK_INTERFACE      "org.example.Ctr.Task"
#define PROCESS_INTERFACE   "org.example.Ctr.Process"
#define JOB_INTERFACE       "org.example.Ctr.Job"

extern const sd_bus_vtable manager_vtable[];   /* userdata: Service */
extern const sd_bus_vtable image_vtable[];     /* userdata: Image */
extern const sd_bus_vtable container_vtable[]; /* userdata: Container */
extern const sd_bus_vtable task_vtable[];      /* userdata: Task */
extern const sd_bus_vtable process_vtable[];   /* userdata: Process */
extern const sd_bus_vtable job_vtable[];       /* userdata: Job */

/* A method in a file of its own. */
int method_create_task(sd_bus_message *m, void *userdata, sd_bus_error *error);

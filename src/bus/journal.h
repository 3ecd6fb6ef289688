/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Life-cycle events in the journal, one entry each, with MESSAGE_ID= and the fields CTR_NAMESPACE=,
 * CTR_CONTAINER=, CTR_IMAGE=, CTR_EXIT_STATUS= and UNIT=, as far as they apply. Entries about a
 * task also carry OBJECT_SYSTEMD_UNIT=, so that `journalctl -u` of its scope shows them.
 */

#include "manager/container.h"
#include "manager/image.h"
#include "manager/job.h"
#include "manager/task.h"

void journal_container_created(const Container *c);
void journal_container_removed(const Container *c);
void journal_task_started(const Task *t);
void journal_task_exited(const Task *t);
void journal_image_pulled(const Job *j);
void journal_image_removed(const Image *i);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "manager/manager.h"

/* Compares /var/lib/ctr with the rows: what no row names goes, what a row names and is not there is
 * reported. 0, or an error with its sentence if it cannot be read at all. */
int recover_store(Manager *m, Error *e);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The inside of a new network namespace. Addresses and devices are a network plugin's business. */

#include "basic/error.h"

/* Brings the loopback device up; the kernel gives it its addresses then. */
int network_loopback_up(Error *e);

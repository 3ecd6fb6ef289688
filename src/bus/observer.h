/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the core observes out loud becomes signals here, and life-cycle events of the journal. */

#include "manager/manager.h"

/* userdata is the Service. */
extern const ManagerObserver service_observer;

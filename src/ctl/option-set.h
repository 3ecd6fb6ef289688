/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the files that hold tables of options. */

#include "ctl/options.h"

#define FIELD(f) offsetof(Options, f)
#define SET(t, os)                                                                                 \
        { .title = (t), .options = (os), .n = ELEMENTSOF(os) }

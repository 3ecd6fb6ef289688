/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Base64 (RFC 4648, section 4) of text without NUL bytes. */

#include "basic/macro.h"

/* malloc'ed; NULL: out of memory. */
char *base64_encode(const char *s);

/* *ret is malloc'ed. 0, -EBADMSG for what is not the padded base64 of such text, -ENOMEM. */
int base64_decode(const char *s, char **ret);

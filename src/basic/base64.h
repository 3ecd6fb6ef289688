/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Base64 of RFC 4648, section 4, as it is in documents: padded, in one piece. */

#include "basic/macro.h"

/* malloc'ed; NULL: out of memory. */
char *base64_encode(const char *s);

/* The bytes, and a NUL behind them that is not counted; no bytes for the empty text. 0, -EBADMSG
 * for anything else than padded base64, -ENOMEM. */
int base64_decode(const char *s, char **ret, size_t *ret_size);

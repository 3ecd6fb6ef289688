/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Base64 of RFC 4648 as documents of the registry world have it: padded, in one piece. */

#include "basic/macro.h"

/* The bytes of n characters, with a NUL behind them that is not counted. 0, -EBADMSG for anything
 * else than padded base64 (the empty text, too), -ENOMEM. */
int base64_decode_bytes(const char *s, size_t n, char **ret, size_t *ret_size);

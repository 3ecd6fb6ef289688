/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Log lines on standard error. Under systemd each line starts with its "<level>" so that the
 * journal keeps the priority (sd-daemon(3)); on a terminal it does not. Structured life-cycle
 * events are sent by the manager with sd_journal_send() and its message ids instead.
 */

#include <syslog.h>

#include "basic/macro.h"

/* Messages above this syslog level are dropped; default LOG_INFO, $CTR_LOG_LEVEL (name or number)
 * when log_parse_environment() was called. */
void log_set_max_level(int level);
void log_parse_environment(void);
int log_get_max_level(void);

/* Writes one line and returns -error (0 for error 0), keeping errno. %m is the text of error. */
int log_internal(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_full_errno(level, error, ...)                                                          \
        ({                                                                                         \
                int _e = (error);                                                                  \
                (level) <= log_get_max_level() ? log_internal((level), _e, __VA_ARGS__)            \
                                               : -abs(_e);                                         \
        })
#define log_full(level, ...) (void) log_full_errno(level, 0, __VA_ARGS__)

#define log_debug(...)                log_full(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)                 log_full(LOG_INFO, __VA_ARGS__)
#define log_notice(...)               log_full(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...)              log_full(LOG_WARNING, __VA_ARGS__)
#define log_error(...)                log_full(LOG_ERR, __VA_ARGS__)
#define log_debug_errno(error, ...)   log_full_errno(LOG_DEBUG, error, __VA_ARGS__)
#define log_info_errno(error, ...)    log_full_errno(LOG_INFO, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full_errno(LOG_WARNING, error, __VA_ARGS__)
#define log_error_errno(error, ...)   log_full_errno(LOG_ERR, error, __VA_ARGS__)

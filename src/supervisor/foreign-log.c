/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/foreign-log.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"

#define LOG_TAIL_MAX (64U * 1024)
#define TEXT_MAX     1000U

/* The last LOG_TAIL_MAX bytes; NULL without a log. */
static char *log_read_tail(int dir_fd, const char *name) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        char *text;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return NULL;
        if (st.st_size > LOG_TAIL_MAX && lseek(fd, -(off_t) LOG_TAIL_MAX, SEEK_END) < 0)
                return NULL;
        text = calloc(1, LOG_TAIL_MAX + 1);
        if (!text || read(fd, text, LOG_TAIL_MAX) < 0) {
                free(text);
                return NULL;
        }
        return text;
}

static bool is_error(json_t *line) {
        static const char *const levels[] = {"error", "fatal", "panic"};
        const char *level = json_string_value(json_object_get(line, "level"));

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq_ptr(level, levels[i]))
                        return true;
        return false;
}

/* One line, which is all that an error's text is. */
static void flatten(char *text) {
        for (char *p = text; *p; p++)
                if (iscntrl((unsigned char) *p))
                        *p = ' ';
}

/* jansson takes nothing but UTF-8, so a text that is too long is dropped rather than cut in the
 * middle of a character. */
static char *log_last_error(char *log) {
        char *save = NULL, *found = NULL;

        for (char *s = strtok_r(log, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
                _cleanup_json_ json_t *line = json_loads(s, 0, NULL);
                const char *text = json_string_value(json_object_get(line, "msg"));

                if (isempty(text) || strlen(text) > TEXT_MAX || !is_error(line))
                        continue;
                free(found);
                found = strdup(text);
        }
        if (found)
                flatten(found);
        return found;
}

/* The wordings of runc and crun; so does everybody who drives them. */
static int code_of(const char *text) {
        bool about_program = strstr(text, "executable") || strstr(text, "exec: \"") ||
                             strstr(text, "exec /") || strstr(text, "exec `");

        if (about_program && (strstr(text, "not found") || strcasestr(text, "no such file")))
                return CTR_COMMAND_NOT_FOUND;
        if (strcasestr(text, "exec format error") ||
            (about_program && strcasestr(text, "permission denied")))
                return CTR_COMMAND_NOT_EXECUTABLE;
        return CTR_UNKNOWN;
}

int foreign_log_error(int dir_fd, const char *name, const char *program, const char *verb,
                      int status, Error *e) {
        _cleanup_free_ char *log = log_read_tail(dir_fd, name);
        _cleanup_free_ char *text = log ? log_last_error(log) : NULL;
        const char *slash = strrchr(program, '/');
        const char *own_name = slash ? slash + 1 : program;

        if (text)
                return error_setf(e, code_of(text), "%s: %s", own_name, text);
        return error_setf(e, CTR_UNKNOWN, "%s %s failed with status %i and did not say why",
                          own_name, verb, status);
}

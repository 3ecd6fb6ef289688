/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/report.h"

#include <fcntl.h>
#include <jansson.h>
#include <time.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "basic/utf8.h"
#include "oci/context.h"

int report_init(Report *r, const char *path, const char *format, Error *e) {
        if (format && !streq(format, "text") && !streq(format, "json"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "invalid log format \"%s\"", format);
        *r = (Report){
                        .path = isempty(path) ? NULL : path,
                        .json = format && streq(format, "json"),
        };
        return 0;
}

/* One line with its end; NULL without memory. */
static char *make_line(const Report *r, const char *text) {
        char now[32], *line = NULL, *quoted;
        time_t t = time(NULL);
        struct tm tm;
        json_t *j;
        int n = -1;

        if (!gmtime_r(&t, &tm) || strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                return NULL;
        j = json_string(text);
        quoted = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
        json_decref(j);
        if (quoted)
                n = r->json ? asprintf(&line, "{\"level\":\"error\",\"msg\":%s,\"time\":\"%s\"}\n",
                                       quoted, now)
                            : asprintf(&line, "time=\"%s\" level=error msg=%s\n", now, quoted);
        free(quoted);
        return n < 0 ? NULL : line;
}

void report_error(const Report *r, const char *text) {
        _cleanup_free_ char *line = NULL;
        _cleanup_close_ int fd = -1;

        (void) fprintf(stderr, RUNTIME_NAME ": %s\n", text);
        if (!r->path)
                return;
        line = make_line(r, text);
        fd = open(r->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
        if (!line || fd < 0 || fd_write_all(fd, line, strlen(line)) < 0)
                log_error_errno(errno, "Failed to write to %s: %m", r->path);
}

/* podman makes exit statuses 127 and 126 of these words, whatever else is said. */
static char *sentence_of(const Error *e) {
        const char *text = error_text(e), *words = NULL;
        char *sentence = NULL;

        if (e->code == CTR_COMMAND_NOT_FOUND)
                words = strstr(text, "PATH=") ? "executable file not found in $PATH"
                                              : "no such file or directory";
        else if (e->code == CTR_COMMAND_NOT_EXECUTABLE || e->code == CTR_PERMISSION_DENIED)
                words = "permission denied";
        if (!words || strcasestr(text, words))
                return strdup(text);
        return asprintf(&sentence, "%s: %s", text, words) < 0 ? NULL : sentence;
}

char *report_sentence(const Error *e) {
        char *sentence = sentence_of(e);

        if (sentence)
                utf8_make_printable(sentence);
        return sentence;
}

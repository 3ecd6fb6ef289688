/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/credentials.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <termios.h>

#include "basic/fs.h"
#include "basic/json.h"

#define SECRET_MAX (16 * 1024)

int secret_read_stdin(char **ret, Error *e) {
        _cleanup_secret_ char *text = NULL;
        int r;

        r = fd_read_all(STDIN_FILENO, SECRET_MAX, &text, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read standard input: %m");
        text[strcspn(text, "\r\n")] = '\0';
        if (!*text)
                return error_setf(e, CTR_INVALID_ARGUMENT, "standard input is empty");
        *ret = TAKE_PTR(text);
        return 0;
}

/* Reads a line by read(), so that no buffer of stdio keeps it. */
static int read_line(int fd, char interrupt, char **ret) {
        char buf[SECRET_MAX];
        size_t n = 0;
        int r = 0;

        while (n < sizeof(buf) - 1) {
                ssize_t k = read(fd, buf + n, 1);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        r = -errno;
                else if (k > 0 && buf[n] == interrupt)
                        r = CTR_CANCELED;
                if (k <= 0 || r != 0 || buf[n] == '\n')
                        break;
                n++;
        }
        buf[n] = '\0';
        if (r == 0) {
                *ret = strdup(buf);
                r = *ret ? 0 : -ENOMEM;
        }
        explicit_bzero(buf, sizeof(buf));
        return r;
}

int ask_on_terminal(const char *prompt, bool secret, char **ret, Error *e) {
        _cleanup_close_ int fd = -1;
        struct termios before, quiet;
        int r;

        fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 || tcgetattr(fd, &before) < 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "there is no terminal to ask on; give it with an option or on "
                                  "standard input");
        quiet = before;
        /* an interrupt is a character here: it must not end us while nothing is shown */
        quiet.c_lflag &= ~(tcflag_t) ((secret ? ECHO : 0) | ISIG);
        quiet.c_cc[VEOL] = before.c_cc[VINTR];
        /* in this order: who sees the prompt may type, and what comes before is forgotten */
        (void) tcsetattr(fd, TCSAFLUSH, &quiet);
        (void) dprintf(fd, "%s: ", prompt);
        r = read_line(fd, (char) before.c_cc[VINTR], ret);
        (void) tcsetattr(fd, TCSAFLUSH, &before);
        if (secret || r == CTR_CANCELED)
                (void) dprintf(fd, "\n");
        if (r == CTR_CANCELED)
                return error_setf(e, r, "Interrupted");
        if (r < 0)
                return error_setf(e, r, "Failed to read from the terminal: %m");
        return 0;
}

/* "USER[:PASSWORD]"; the password is asked for if it is missing. */
static int login_from_text(const char *text, Login *ret, Error *e) {
        const char *colon = strchr(text, ':');

        ret->username = strndup(text, colon ? (size_t) (colon - text) : strlen(text));
        if (colon)
                ret->password = strdup(colon + 1);
        if (!ret->username || (colon && !ret->password))
                return error_setf(e, -ENOMEM, "Out of memory");
        if (!*ret->username)
                return error_setf(e, CTR_INVALID_ARGUMENT, "credentials are USER or USER:PASSWORD");
        return colon ? 0 : ask_on_terminal("Password", true, &ret->password, e);
}

static int login_find(const Options *o, const char *image, Login *ret, Error *e) {
        _cleanup_secret_ char *text = NULL;
        _cleanup_free_ char *scope = NULL;
        int r;

        if (o->registry.credentials)
                return login_from_text(o->registry.credentials, ret, e);
        if (o->registry.credentials_stdin) {
                r = secret_read_stdin(&text, e);
                return r == 0 ? login_from_text(text, ret, e) : r;
        }
        /* root's are where the service finds them by itself, unless the caller says otherwise */
        if (!o->registry.authfile &&
            (o->host || (geteuid() == 0 && isempty(getenv("REGISTRY_AUTH_FILE")))))
                return 0;
        scope = auth_scope_of_image(image);
        if (!scope)
                return error_setf(e, -ENOMEM, "Out of memory");
        return o->registry.authfile ? auth_file_find(o->registry.authfile, scope, ret, e)
                                    : auth_files_find(scope, ret, e);
}

int memory_file_new(const char *name, const void *data, size_t size, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int r;

        if (fd < 0)
                return -errno;
        r = fd_write_all(fd, data, size);
        if (r < 0)
                return r;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0 ||
            lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int credentials_open(const Options *o, const char *image, int *ret_fd, Error *e) {
        _cleanup_login_ Login login = {};
        _cleanup_json_ json_t *j = NULL;
        _cleanup_secret_ char *text = NULL;
        int r;

        r = login_find(o, image, &login, e);
        if (r != 0)
                return r;
        if (!login.identity_token && !login.username) {
                *ret_fd = -1;
                return 0;
        }
        if (o->host)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "credentials cannot be passed to another host; use login there");
        j = login.identity_token ? json_pack("{s:s}", "identity_token", login.identity_token)
                                 : json_pack("{s:s, s:s}", "username", login.username, "password",
                                             login.password);
        text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        if (!text)
                return error_setf(e, CTR_INVALID_ARGUMENT, "the credentials are no valid UTF-8");
        r = memory_file_new("credentials", text, strlen(text), ret_fd);
        return r < 0 ? error_setf(e, r, "Failed to pass the credentials: %m") : 0;
}

int message_append_credentials(sd_bus_message *m, int fd) {
        if (fd < 0)
                return 0;
        /* the service that read it before shares the position with us */
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return sd_bus_message_append(m, "{sv}", "Credentials", "h", fd);
}

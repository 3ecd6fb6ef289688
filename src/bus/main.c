/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-manager: connects to the bus, lets the core find out what is running, and serves it there.
 *
 *   connect -> recover -> publish the objects -> take the name -> serve -> exit on idle or SIGTERM
 *
 * Tasks do not depend on this process: however it ends, they go on, and its successor finds them.
 * Invariant: one manager per machine. The lock on the runtime directory is taken before anything is
 * looked at, because recovery removes what nobody owns.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <systemd/sd-daemon.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "bus/lifetime.h"
#include "bus/service.h"
#include "config.h"
#include "manager/event.h"
#include "manager/manager.h"
#include "unit/systemd.h"
#include "unit/update.h"

#define IDLE_DEFAULT_SEC 30U

typedef struct Daemon {
        int lock_fd;
        sd_event *event;
        sd_bus *bus;
        Systemd *systemd;
        Manager *manager;
        Service *service;
        Lifetime *lifetime;
} Daemon;

/* The core first, while there is still somebody to be told by; then the calls that wait for answers
 * that will not come; the connection last, when all is written. */
static void daemon_done(Daemon *d) {
        d->lifetime = lifetime_free(d->lifetime);
        if (d->service)
                service_detach(d->service);
        d->manager = manager_free(d->manager);
        d->service = service_free(d->service);
        d->systemd = systemd_free(d->systemd);
        d->bus = sd_bus_flush_close_unref(d->bus);
        d->event = sd_event_unref(d->event);
        d->lock_fd = fd_close(d->lock_fd);
}

static int take_lock(Daemon *d, Error *e) {
        d->lock_fd = dir_open_make_at(AT_FDCWD, CTR_RUNTIME_DIR, 0700);
        if (d->lock_fd < 0)
                return error_setf(e, d->lock_fd, "Failed to open %s: %m", CTR_RUNTIME_DIR);
        if (flock(d->lock_fd, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        if (errno == EWOULDBLOCK)
                return error_setf(e, CTR_ALREADY_EXISTS, "Another manager is running");
        return error_setf(e, -errno, "Failed to lock %s: %m", CTR_RUNTIME_DIR);
}

static uint64_t idle_usec_from_environment(void) {
        const char *value = getenv("CTR_IDLE_TIMEOUT_SEC");
        unsigned long long sec;
        char *end;

        if (!value)
                return IDLE_DEFAULT_SEC * USEC_PER_SEC;
        if (streq(value, "infinity"))
                return UINT64_MAX;
        errno = 0;
        sec = strtoull(value, &end, 10);
        if (errno != 0 || end == value || *end || sec > UINT32_MAX) {
                log_warning("Ignoring CTR_IDLE_TIMEOUT_SEC=%s, it is no number of seconds", value);
                return IDLE_DEFAULT_SEC * USEC_PER_SEC;
        }
        return sec * USEC_PER_SEC;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Daemon *d = userdata;

        log_error("The connection to the bus is lost; tasks go on, the manager starts again");
        return sd_event_exit(d->event, EXIT_FAILURE);
}

static int connect_bus(Daemon *d, Error *e) {
        int r;

        r = sd_bus_open_system_with_description(&d->bus, "ctr-manager");
        if (r < 0)
                return error_setf(e, r, "Failed to connect to the system bus: %m");
        r = sd_bus_attach_event(d->bus, d->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return error_setf(e, r, "Failed to attach the bus to the event loop: %m");
        /* a message of sd-bus itself, nothing that the bus would be asked for */
        r = sd_bus_match_signal_async(d->bus, NULL, "org.freedesktop.DBus.Local",
                                      "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_disconnected, NULL, d);
        if (r < 0)
                return error_setf(e, r, "Failed to watch the connection to the bus: %m");
        return 0;
}

static int on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *si,
                          void *userdata) {
        Daemon *d = userdata;

        log_debug("Stopping; tasks go on");
        (void) sd_notify(false, "STOPPING=1\nSTATUS=Stopping, tasks go on.");
        event_log_settle(d->manager->events);
        return sd_event_exit(d->event, EXIT_SUCCESS);
}

static int setup_event(Daemon *d, Error *e) {
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return error_setf(e, -errno, "Failed to block signals: %m");
        (void) signal(SIGPIPE, SIG_IGN);

        r = sd_event_default(&d->event);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGTERM, on_stop_signal, d);
        if (r >= 0)
                r = sd_event_add_signal(d->event, NULL, SIGINT, on_stop_signal, d);
        if (r >= 0)
                r = sd_event_set_watchdog(d->event, true);
        if (r < 0)
                return error_setf(e, r, "Failed to set up the event loop: %m");
        return 0;
}

static int exit_with_error(Daemon *d, int r, const Error *e) {
        Error plain = {.code = r};

        log_error("%s", error_text(e && e->code != 0 ? e : &plain));
        return sd_event_exit(d->event, EXIT_FAILURE);
}

/* The state is the true one now. */
static void on_recovered(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error failure = ERROR_NULL;
        Daemon *d = userdata;

        if (r != 0) {
                (void) exit_with_error(d, r, e);
                return;
        }
        r = service_publish(d->service, &failure);
        if (r == 0)
                r = lifetime_new(d->service, idle_usec_from_environment(), &d->lifetime, &failure);
        if (r != 0) {
                (void) exit_with_error(d, r, &failure);
                return;
        }
        /* behind the request for the name, by which they are known */
        event_log_release(d->manager);
}

static int daemon_start(Daemon *d, Error *e) {
        const ManagerParameters parameters = {
                        .check_snapshotters = true,
                        .state_dir = CTR_STATE_DIR,
                        .runtime_dir = CTR_RUNTIME_DIR,
                        .libexec_dir = CTR_LIBEXECDIR,
                        .data_dir = CTR_DATA_DIR,
                        .transient_dir = UNIT_TRANSIENT_DIR,
                        .blockio_config = getenv("CTR_BLOCKIO_CONFIG"),
                        .rdt_config = getenv("CTR_RDT_CONFIG"),
                        .snapshotter = getenv("CTR_SNAPSHOTTER"),
                        .runtime_path = getenv("CTR_RUNTIME_PATH"),
                        .subid_user = getenv("CTR_SUBID_USER"),
        };
        int r;

        r = take_lock(d, e);
        if (r != 0)
                return r;
        r = setup_event(d, e);
        if (r != 0)
                return r;
        r = connect_bus(d, e);
        if (r != 0)
                return r;
        r = systemd_new(d->bus, &d->systemd, e);
        if (r != 0)
                return r;
        r = manager_new(d->event, d->systemd, &parameters, &d->manager, e);
        if (r != 0)
                return r;
        r = service_new(d->bus, d->manager, &d->service, e);
        if (r != 0)
                return r;
        return manager_recover(d->manager, on_recovered, d, e);
}

static int run(void) {
        _cleanup_(daemon_done) Daemon d = {.lock_fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = daemon_start(&d, &e);
        if (r != 0) {
                Error plain = {.code = r};

                log_error("%s", error_text(e.code != 0 ? &e : &plain));
                return EXIT_FAILURE;
        }
        r = sd_event_loop(d.event);
        if (r < 0) {
                log_error_errno(r, "The event loop failed: %m");
                return EXIT_FAILURE;
        }
        return r;
}

int main(int argc, char *argv[]) {
        log_parse_environment();

        if (argc == 2 && streq(argv[1], "--version")) {
                puts("ctr-manager " CTR_VERSION);
                return EXIT_SUCCESS;
        }
        if (argc > 1) {
                (void) fprintf(stderr, "ctr-manager is started by systemd: systemctl start ctr\n");
                return EXIT_FAILURE;
        }
        return run();
}

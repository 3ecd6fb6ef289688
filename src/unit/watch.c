/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One watch for the directory in which the drop-ins' directories appear, and one for each of those
 * that belong to scopes of ours. */

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/inotify.h>

#include "basic/log.h"
#include "unit/update.h"

#define SUFFIX ".d"

typedef struct UnitDirectory UnitDirectory;
struct UnitDirectory {
        UnitWatch *watch;
        char *unit;
        sd_event_source *source;
        UnitDirectory *next;
};

struct UnitWatch {
        sd_event *event;
        char *directory;
        sd_event_source *source;
        UnitDirectory *directories;
        UnitChanged callback;
        void *userdata;
};

static UnitDirectory *unit_directory_free(UnitDirectory *d) {
        if (!d)
                return NULL;
        for (UnitDirectory **p = &d->watch->directories; *p; p = &(*p)->next)
                if (*p == d) {
                        *p = d->next;
                        break;
                }
        sd_event_source_disable_unref(d->source);
        free(d->unit);
        free(d);
        return NULL;
}
DEFINE_CLEANUP(UnitDirectory *, unit_directory_free);

static int on_drop_in(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        UnitDirectory *d = userdata;

        if (event->mask & (IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT)) {
                unit_directory_free(d); /* the unit was unloaded */
                return 0;
        }
        d->watch->callback(d->unit, d->watch->userdata);
        return 0;
}

static int watch_directory(UnitWatch *w, const char *unit) {
        _cleanup_(unit_directory_freep) UnitDirectory *d = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (unit_is_changed(w, unit))
                return 0;
        if (asprintf(&path, "%s/%s" SUFFIX, w->directory, unit) < 0)
                return -ENOMEM;
        d = calloc(1, sizeof(UnitDirectory));
        if (!d)
                return -ENOMEM;
        *d = (UnitDirectory){.watch = w, .unit = strdup(unit), .next = w->directories};
        w->directories = d;
        if (!d->unit)
                return -ENOMEM;
        r = sd_event_add_inotify(w->event, &d->source, path,
                                 IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_DELETE_SELF |
                                                 IN_ONLYDIR,
                                 on_drop_in, d);
        if (r < 0)
                return r;
        TAKE_PTR(d);
        return 0;
}

/* "ctr-x.scope.d" is the directory of "ctr-x.scope"; of others NULL. */
static char *unit_of_directory(const char *name) {
        if (fnmatch("ctr-*.scope" SUFFIX, name, 0) != 0)
                return NULL;
        return strndup(name, strlen(name) - STRLEN(SUFFIX));
}

static int on_directory(sd_event_source *source, const struct inotify_event *event,
                        void *userdata) {
        _cleanup_free_ char *unit = NULL;
        UnitWatch *w = userdata;
        int r;

        if (event->mask & IN_Q_OVERFLOW) {
                log_warning("Changes of limits by others were missed: too many at once");
                return 0;
        }
        if (event->len == 0)
                return 0;
        unit = unit_of_directory(event->name);
        if (!unit)
                return 0;
        r = watch_directory(w, unit);
        if (r < 0 && r != -ENOENT)
                log_warning_errno(r, "Cannot see changes of the limits of %s: %m", unit);
        /* the first drop-in may have been written before there was a watch */
        w->callback(unit, w->userdata);
        return 0;
}

/* Those that were made before us. */
static int watch_present(UnitWatch *w) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r;

        dir = opendir(w->directory);
        if (!dir)
                return -errno;
        while ((errno = 0, de = readdir(dir))) {
                _cleanup_free_ char *unit = unit_of_directory(de->d_name);

                if (!unit)
                        continue;
                r = watch_directory(w, unit);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return -errno;
}

int unit_watch_new(sd_event *event, const char *directory, UnitChanged callback, void *userdata,
                   UnitWatch **ret) {
        _cleanup_(unit_watch_freep) UnitWatch *w = NULL;
        int r;

        assert(event && directory && callback && ret);

        w = calloc(1, sizeof(UnitWatch));
        if (!w)
                return -ENOMEM;
        *w = (UnitWatch){
                        .event = sd_event_ref(event),
                        .directory = strdup(directory),
                        .callback = callback,
                        .userdata = userdata,
        };
        if (!w->directory)
                return -ENOMEM;
        r = sd_event_add_inotify(event, &w->source, directory, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR,
                                 on_directory, w);
        if (r >= 0)
                r = watch_present(w);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

UnitWatch *unit_watch_free(UnitWatch *w) {
        if (!w)
                return NULL;
        while (w->directories)
                unit_directory_free(w->directories);
        sd_event_source_disable_unref(w->source);
        sd_event_unref(w->event);
        free(w->directory);
        free(w);
        return NULL;
}

bool unit_is_changed(const UnitWatch *w, const char *unit) {
        for (const UnitDirectory *d = w ? w->directories : NULL; d; d = d->next)
                if (streq(d->unit, unit))
                        return true;
        return false;
}

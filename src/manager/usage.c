/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/usage.h"

#include "basic/clock.h"
#include "manager/content.h"
#include "manager/manager.h"
#include "manager/reader.h"

struct PendingUsage {
        Manager *manager;
        PendingUsage *previous, *next;
        Reader *reader;
        char *namespace;
        Usage usage;
        UsageDone done;
        void *userdata;
};

static PendingUsage *pending_usage_free(PendingUsage *p) {
        if (!p)
                return NULL;
        reader_free(p->reader);
        *(p->previous ? &p->previous->next : &p->manager->usages) = p->next;
        if (p->next)
                p->next->previous = p->previous;
        free(p->namespace);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(PendingUsage *, pending_usage_free);

static int query(Database *reader, void *userdata, Error *e) {
        PendingUsage *p = userdata;

        return db_usage(reader, p->namespace, now_realtime(), &p->usage.rows, e);
}

static int add_ingest(const IngestEntry *i, void *userdata) {
        *(uint64_t *) userdata += i->offset;
        return 0;
}

static int add_quarantined(const QuarantineEntry *q, void *userdata) {
        *(uint64_t *) userdata += q->size;
        return 0;
}

static void on_read(int r, const Error *e, void *userdata) {
        _cleanup_(pending_usage_freep) PendingUsage *p = userdata;
        _cleanup_error_ Error local = ERROR_NULL;

        if (r == 0) {
                e = &local;
                r = ingests_foreach(p->manager, p->namespace, add_ingest, &p->usage.ingest_bytes,
                                    &local);
        }
        if (r == 0)
                r = quarantine_foreach(p->manager, add_quarantined, &p->usage.quarantine_bytes,
                                       &local);
        p->done(r, e, r == 0 ? &p->usage : NULL, p->userdata);
}

int usage_read(Manager *m, const char *namespace, UsageDone done, void *userdata, Error *e) {
        _cleanup_(pending_usage_freep) PendingUsage *p = NULL;
        int r;

        p = calloc(1, sizeof(PendingUsage));
        if (!p)
                return -ENOMEM;
        p->manager = m;
        p->next = m->usages;
        if (p->next)
                p->next->previous = p;
        m->usages = p;
        p->done = done;
        p->userdata = userdata;
        if (namespace) {
                p->namespace = strdup(namespace);
                if (!p->namespace)
                        return -ENOMEM;
        }
        r = reader_start(m, query, on_read, p, &p->reader, e);
        if (r != 0)
                return r;
        TAKE_PTR(p);
        return 0;
}

void usages_cancel(Manager *m) {
        while (m->usages) {
                _cleanup_(pending_usage_freep) PendingUsage *p = m->usages;

                p->done(-ESHUTDOWN, NULL, NULL, p->userdata);
        }
}

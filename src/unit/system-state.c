/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whether the machine is going down: systemd's SystemState is "stopping" from the moment on in
 * which somebody asked for it, before the first unit is stopped. */

#include "basic/clock.h"
#include "unit/systemd-internal.h"

#define ANSWER_USEC (5 * USEC_PER_SEC)

struct SystemQuestion {
        sd_bus_slot *slot;
        SystemStoppingCallback callback;
        void *userdata;
};

SystemQuestion *system_question_free(SystemQuestion *q) {
        if (!q)
                return NULL;
        sd_bus_slot_unref(q->slot);
        free(q);
        return NULL;
}

static int read_answer(sd_bus_message *m) {
        const char *state;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                return -sd_bus_message_get_errno(m);
        r = sd_bus_message_read(m, "v", "s", &state);
        return r < 0 ? r : streq(state, "stopping");
}

/* The callback may free the question. */
static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemQuestion *q = userdata;

        q->callback(read_answer(m), q->userdata);
        return 0;
}

int systemd_is_stopping(Systemd *s, SystemStoppingCallback callback, void *userdata,
                        SystemQuestion **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        SystemQuestion *q;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, SYSTEMD_DESTINATION, SYSTEMD_PATH,
                                           "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", SYSTEMD_INTERFACE, "SystemState");
        if (r < 0)
                return r;
        q = malloc(sizeof(SystemQuestion));
        if (!q)
                return -ENOMEM;
        *q = (SystemQuestion){.callback = callback, .userdata = userdata};
        r = sd_bus_call_async(s->bus, &q->slot, m, on_answer, q, ANSWER_USEC);
        if (r < 0) {
                system_question_free(q);
                return r;
        }
        *ret = q;
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One CheckAuthorization of polkit: asked with the caller's name on the bus as subject, so that
 * polkit itself finds out who that is; answered into the Query that asked. */

#include <inttypes.h>

#include "basic/log.h"
#include "bus/error.h"
#include "bus/query.h"

#define POLKIT_NAME      "org.freedesktop.PolicyKit1"
#define POLKIT_PATH      "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

#define POLKIT_ALLOW_INTERACTION 1U
#define POLKIT_TIMEOUT_USEC      (25 * USEC_PER_SEC)
#define INTERACTION_TIMEOUT_USEC (300 * USEC_PER_SEC) /* somebody types a password */

static int append_detail(sd_bus_message *call, const char *key, const char *value) {
        return value ? sd_bus_message_append(call, "{ss}", key, value) : 0;
}

static int append_details(sd_bus_message *call, const AuthorityDetails *d) {
        int r;

        r = sd_bus_message_open_container(call, 'a', "{ss}");
        if (r < 0)
                return r;
        r = append_detail(call, "namespace", d->namespace);
        if (r < 0)
                return r;
        r = append_detail(call, "container", d->container);
        if (r < 0)
                return r;
        r = append_detail(call, "image", d->image);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(call);
}

static bool is_interactive(const Query *q) {
        return sd_bus_message_get_allow_interactive_authorization(q->message) > 0;
}

/* Sets error unless the reply grants action. */
static int read_answer(const Query *q, const char *action, sd_bus_message *reply,
                       sd_bus_error *error) {
        const sd_bus_error *failure = sd_bus_message_get_error(reply);
        const char *member = sd_bus_message_get_member(q->message);
        int authorized, challenge, r;

        if (failure) {
                log_info("polkit did not decide about %s: %s", action, failure->message);
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                         "polkit %s (%s), and without it only root may call %s",
                                         bus_error_code(failure) == CTR_UNAVAILABLE
                                                         ? "cannot be reached"
                                                         : "gives no answer",
                                         failure->message, member);
        }
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0)
                return r;
        if (authorized)
                return 0;
        if (challenge && !is_interactive(q))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                         "%s needs interactive authentication for %s", member,
                                         action);
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "polkit does not grant %s, which %s needs", action, member);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        Query *q = userdata;
        QueryAnswer *answer = &q->answers[q->n_answers++];
        int r;

        *answer = (QueryAnswer){.question = TAKE_PTR(q->question)};
        r = read_answer(q, q->action, reply, &answer->error);
        if (r < 0 && !sd_bus_error_is_set(&answer->error))
                (void) sd_bus_error_set_errno(&answer->error, r);
        query_run_again(q);
        return 0;
}

static int make_call(Query *q, const AuthorityDetails *d, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int r;

        r = sd_bus_message_new_method_call(q->authority->bus, &call, POLKIT_NAME, POLKIT_PATH,
                                           POLKIT_INTERFACE, "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                                  query_sender(q), q->action);
        if (r < 0)
                return r;
        r = append_details(call, d);
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "us", is_interactive(q) ? POLKIT_ALLOW_INTERACTION : 0U,
                                  q->cancellation_id);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(call);
        return 0;
}

int polkit_check(Query *q, const char *action, const AuthorityDetails *d, char *question) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        char id[32];
        int r;

        assert(q->n_answers < QUERY_ANSWERS_MAX);

        free(q->question);
        q->question = question;
        q->action = action;
        (void) snprintf(id, sizeof(id), "ctr-%" PRIu64, ++q->authority->last_cancellation);
        r = free_and_strdup(&q->cancellation_id, id);
        if (r < 0)
                return r;
        r = make_call(q, d, &call);
        if (r < 0)
                return r;
        r = sd_bus_call_async(q->authority->bus, &q->slot, call, on_answer, q,
                              is_interactive(q) ? INTERACTION_TIMEOUT_USEC : POLKIT_TIMEOUT_USEC);
        if (r < 0)
                return r;
        q->state = QUERY_POLKIT;
        return 0;
}

void polkit_cancel(Query *q) {
        int r;

        r = sd_bus_call_method_async(q->authority->bus, NULL, POLKIT_NAME, POLKIT_PATH,
                                     POLKIT_INTERFACE, "CancelCheckAuthorization", NULL, NULL, "s",
                                     q->cancellation_id);
        if (r < 0)
                log_debug_errno(r, "Failed to cancel a question to polkit: %m");
}

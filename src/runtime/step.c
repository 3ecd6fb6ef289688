/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/step.h"

void step_fail(int sync_fd, InitStage stage, int code, const Error *e) {
        /* nobody to tell is no reason to stay */
        (void) sync_send_error(sync_fd, stage, code, e);
        _exit(code == CTR_COMMAND_NOT_FOUND ? 127 : code == CTR_COMMAND_NOT_EXECUTABLE ? 126 : 125);
}

void steps_run(int sync_fd, const Step *steps, size_t n, void *userdata) {
        for (size_t i = 0; i < n; i++) {
                Error e = ERROR_NULL;
                int r;

                r = steps[i].run(userdata, &e);
                if (r != 0)
                        step_fail(sync_fd, steps[i].stage, r, &e);
        }
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A launch document: refused, or one that reads back equal after it was written again. */

#include "basic/json.h"
#include "supervisor/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ json_t *j = NULL, *first = NULL, *second = NULL;
        TaskLaunch launch = {}, again = {};

        if (size > TASK_LAUNCH_MAX ||
            json_parse((const char *) data, size, "sample", &j, NULL) != 0)
                return 0;
        if (task_launch_from_json(j, &launch, NULL) != 0)
                return 0;
        if (task_launch_to_json(&launch, &first) != 0 ||
            task_launch_from_json(first, &again, NULL) != 0 ||
            task_launch_to_json(&again, &second) != 0 || !json_equal(first, second))
                abort();
        task_launch_clear(&launch);
        task_launch_clear(&again);
        return 0;
}

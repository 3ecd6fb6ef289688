/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The arguments of calls about images, content, snapshots and files: what the verb names, and the
 * options of the command line as keys of the call. One table says which option becomes which key;
 * what the user did not give is not sent.
 */

#include "ctl/client.h"

typedef enum ArgumentKeys {
        KEY_POLICY = 1 << 0,
        KEY_PLATFORM = 1 << 1,
        KEY_ALL_PLATFORMS = 1 << 2,
        KEY_UNPACK = 1 << 3,
        KEY_KEEP_LAYERS = 1 << 4,
        KEY_LABELS = 1 << 5,
        KEY_SNAPSHOTTER = 1 << 6,
        KEY_LEASE = 1 << 7,
        KEY_FORMAT = 1 << 8,
        KEY_QUARANTINE = 1 << 9,
        KEY_NAME = 1 << 10,
        KEY_PAUSE = 1 << 11,
        KEY_AUTHOR = 1 << 12,
        KEY_COMMENT = 1 << 13,
        KEY_CHANGES = 1 << 14,
        KEY_EXPIRES = 1 << 15,
        KEY_BEFORE = 1 << 16,
        KEY_FILTERS = 1 << 17,
        KEY_ALL_NAMESPACES = 1 << 18,
        KEY_FOLLOW_LINK = 1 << 19,
        KEY_STOP_TIMEOUT = 1 << 20,
        KEY_START = 1 << 21,
} ArgumentKeys;

/* In this order in the message; what is not set is left out. */
typedef struct Arguments {
        const Client *client;
        char *const *list;      /* as */
        const char *texts[3];   /* s each, NULL-terminated */
        const uint32_t *number; /* u */
        char *const *labels;    /* a{ss} of KEY=VALUE, with has_labels */
        bool has_labels;
        const int *fd; /* h */
        /* then a{sv}: */
        bool on_object;       /* its path says the namespace */
        unsigned keys;        /* which options */
        const char *policy;   /* instead of the option */
        char *const *filters; /* instead of the options */
        int credentials_fd;   /* 0 or less: none */
        const char *flag;     /* a key that is true */
        const char *text_key, *text_value;
} Arguments;

/* For Call.append: userdata is the Arguments. */
int append_arguments(sd_bus_message *m, void *userdata);

/* Appends an a{ss} of "KEY=VALUE" texts. */
int message_append_labels(sd_bus_message *m, char *const *labels);

/* Appends {name: a{ss}} to an open a{sv}, if there are any. */
int message_append_labels_key(sd_bus_message *m, const char *name, char *const *labels);

/* A verb whose arguments are a name and labels, KEY[=VALUE] each: calls the method of the manager
 * that sets them. which: ArgumentKeys beside the namespace. Returns the exit status. */
int labels_verb(Client *c, const char *member, unsigned which, char *const *args, Error *e);

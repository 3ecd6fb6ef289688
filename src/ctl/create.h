/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The CreateContainer call from the options of the command line. One table says which field becomes
 * which key of the call; what the user did not give is not sent.
 */

#include "ctl/client.h"

#define GENERATED_ID_SIZE 17 /* 64 random bits in hexadecimal */

typedef struct CreateRequest {
        const Client *client;
        const char *id, *image;
        char *const *command; /* NULL or empty: the image's own */
} CreateRequest;

/* For Call.append; userdata is a CreateRequest. */
int append_create_container(sd_bus_message *m, void *userdata);

/* A new id for a container that was given none. */
void generate_id(char buf[static GENERATED_ID_SIZE]);

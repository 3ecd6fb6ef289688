/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The CreateContainer call from the options of the command line. One table says which field becomes
 * which key of the call; what the user did not give is not sent.
 */

#include "ctl/client.h"

#define GENERATED_ID_SIZE 17 /* 64 random bits in hexadecimal */

typedef struct CreateRequest {
        Client *client;
        const char *id, *image;
        const char *path;     /* the object's, once it is there */
        char *const *command; /* NULL or empty: the image's own */
        bool own_id;          /* nobody else can have chosen it */
        /* e is NULL if it was made by us. e may be taken with error_move(). */
        void (*handler)(Error *e, void *userdata);
        void *userdata;
        /* private */
        uint64_t sent_at; /* CLOCK_REALTIME */
        Error refused;
} CreateRequest;

/* Calls CreateContainer. If the service went away before it answered, and the container is there
 * when it is asked again, it is taken for ours if it is younger than the first attempt: an older
 * one is somebody else's, and the handler gets the refusal. What r points to must live until the
 * handler was called. */
int create_container(CreateRequest *r, Error *e);

/* The same, waiting for the answer. */
int create_container_wait(CreateRequest *r, Error *e);

void create_request_done(CreateRequest *r);

/* A new id for a container that was given none. */
void generate_id(char buf[static GENERATED_ID_SIZE]);

/* A file that the id of a new container goes to. It is made before the container, so that an old
 * one is noticed, and goes again if it was not written. */
typedef struct IdFile {
        int fd;
        const char *path; /* NULL: written, or none is wanted */
} IdFile;

#define ID_FILE_NULL ((IdFile){.fd = -1})

/* path may be NULL: then nothing happens, here and when it is written. */
int id_file_open(const char *path, IdFile *ret, Error *e);
int id_file_write(IdFile *f, const char *id, Error *e);
void id_file_close(IdFile *f);

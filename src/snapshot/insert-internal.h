/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Private to insert.c, which reads the archive and finds places, insert-entry.c, which makes files,
 * and insert-place.c, which gives them the places. */

#include "basic/tar-library.h"
#include "snapshot/insert.h"
#include "snapshot/inside.h"

typedef struct Insert {
        int root_fd;
        const InsertOptions *options;
        ApplySource source;
        void *userdata;
        struct archive *archive;
        struct archive_entry *entry; /* the present one */
        char *path;                  /* of it, cleaned; not "" */
        InsideFile directory;        /* that everything goes to */
        int source_result;           /* libarchive cannot carry our errors */
        uint64_t entries, bytes;

        struct InsertTime *times; /* of directories, for the end */
        size_t n_times, allocated_times;
        Error *e;
} Insert;

/* A name in a directory of the container, which may be changing meanwhile. */
typedef struct InsertPlace {
        int dir_fd; /* O_PATH */
        const char *name;
} InsertPlace;

/* The place of a cleaned path other than "", below the directory; its parents are made where
 * missing. Links on the way are followed, with the container's root as their "/". */
int insert_find(Insert *c, const char *path, InsertPlace *ret);
void insert_place_clear(InsertPlace *p);

/* What libarchive failed with. */
int insert_archive_failed(Insert *c, const char *where);

/* insert-place.c: what errno says of an action with c->path. */
int insert_failed(Insert *c, const char *action);

/* Something new under a name beside its place, which nothing else has. */
typedef struct InsertDraft {
        InsertPlace place; /* its own; dir_fd is borrowed */
        char name[40];
} InsertDraft;

/* Chooses the name; nothing is made. *ret stays where it is. */
int insert_draft(Insert *c, const InsertPlace *place, InsertDraft *ret);
void insert_draft_remove(const InsertDraft *draft);

/* What is there gives way to the draft, from one moment to the next: at a crash there is one of the
 * two, and perhaps the draft. Where one is a directory this needs a file system that can exchange
 * two names, and elsewhere what is there is removed first. After a failure the draft is gone.
 * CTR_FAILED_PRECONDITION for another kind with keep_kind, CTR_CONFLICT if the place changes again
 * and again. */
int insert_replace(Insert *c, const InsertDraft *draft, const InsertPlace *place);

/* insert-entry.c: makes c->entry at place. */
int insert_make(Insert *c, const InsertPlace *place);
/* Sets the times of the directories, which making something in them has changed. */
int insert_set_times(Insert *c);
void insert_forget_times(Insert *c);

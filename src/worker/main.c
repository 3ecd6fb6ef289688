/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-worker: one long job in straight-line, blocking code (docs/worker-protocol.md). The manager
 * starts one for each job; it works from a shell by itself.
 */

#include <getopt.h>
#include <locale.h>

#include "basic/log.h"
#include "config.h"
#include "worker/worker.h"

static const struct {
        const char *name;
        int (*run)(int argc, char *argv[]);
} verbs[] = {
                {"pull", verb_pull},           {"push", verb_push},
                {"import", verb_import},       {"resolve", verb_resolve},
                {"remove", verb_remove},       {"checkpoint", verb_checkpoint},
                {"restore", verb_restore},     {"verify", verb_verify},
                {"export", verb_export},       {"commit", verb_commit},
                {"copy-in", verb_copy_in},     {"copy-out", verb_copy_out},
                {"diff", verb_diff},           {"export-root", verb_export_root},
                {"stat-path", verb_stat_path}, {"copy", verb_copy},
                {"usage", verb_usage},         {"copy-up", verb_copy_up},
                {"search", verb_search},
};

static int help(void) {
        (void) puts("Usage: ctr-worker VERB [OPTION...] [ARGUMENT...]\n\n"
                    "Verbs:\n"
                    "  pull [OPTION...] REFERENCE   Fetch an image and extract its layers\n"
                    "  push [OPTION...] REFERENCE   Send an image to a registry\n"
                    "  import [OPTION...] [FILE]    Take images from an archive\n"
                    "  export [OPTION...] --fd=N DIGEST...\n"
                    "                               Write images into an archive\n"
                    "  resolve REFERENCE            Ask a registry for a digest\n"
                    "  search [OPTION...] [HOST/]TERM\n"
                    "                               Ask registries for names of images\n"
                    "  verify [OPTION...]           Look for damaged blobs\n"
                    "  remove [OPTION...] NAME...   Remove doomed snapshots\n"
                    "  copy [OPTION...] SNAPSHOTTER SOURCE...\n"
                    "                               Copy a snapshot\n"
                    "  copy-up [OPTION...] --layers=N,... PATH...\n"
                    "                               Copy what volumes begin with\n"
                    "  usage [OPTION...] SNAPSHOTTER/N\n"
                    "                               Count what a snapshot takes\n"
                    "  checkpoint [OPTION...] NAME  Store a checkpoint\n"
                    "  restore [OPTION...] DIGEST NAME LAYER...\n"
                    "                               Extract a checkpoint\n"
                    "  commit [OPTION...]           Make an image of a container\n"
                    "  diff [OPTION...]             List what a container has changed\n"
                    "  copy-out, copy-in, stat-path [OPTION...] PATH\n"
                    "                               Files of a container, and an archive\n"
                    "  export-root [OPTION...]      All files of a container\n\n"
                    "Options:\n"
                    "  --root=DIR            The store (default: " CTR_STATE_DIR ")\n"
                    "  --control-fd=N        Report to this SOCK_SEQPACKET socket\n"
                    "  --platform=OS/ARCH[/VARIANT]\n"
                    "                        Choose another platform than this machine's\n"
                    "  --all-platforms       pull, push, export: the index and all of its images\n"
                    "  --known-digest=DIGEST pull: what the tag stood for before; only fetched "
                    "again\n"
                    "                        if the registry says that it does not any more\n"
                    "  --from-digest=DIGEST  push: what to send, if the reference is a tag\n"
                    "  --chunk-size=BYTES    push: send blobs in pieces\n"
                    "  --mount-from=REPOSITORY\n"
                    "                        push: another place where the registry has blobs\n"
                    "  --credentials-fd=N    Read the user name and the password from there\n"
                    "  --fd=N                import, export: the archive\n"
                    "  --format=oci-archive|docker-archive\n"
                    "                        export: what to write\n"
                    "  --name=NAME           export: of the image whose digest follows\n"
                    "  --quarantine          verify: move damaged blobs away\n"
                    "  --rootfs              import: it is a root file system\n"
                    "  --limit=NAME=VALUE    entries, bytes, xattr-bytes or xattr-count of a "
                    "layer\n"
                    "  --no-unpack           Only fetch\n"
                    "  --sync                usage: write the snapshot to disk first\n"
                    "  --policy=always|missing\n"
                    "                        With \"missing\", do not ask the registry for a\n"
                    "                        digest that is in the store\n"
                    "  --help, --version");
        return 0;
}

int main(int argc, char *argv[]) {
        log_parse_environment();
        /* names in archives are UTF-8, in whatever locale we were started */
        (void) setlocale(LC_CTYPE, "C.UTF-8");

        if (argc >= 2 && streq(argv[1], "--help"))
                return help();
        if (argc >= 2 && streq(argv[1], "--version")) {
                (void) puts("ctr " CTR_VERSION);
                return 0;
        }
        for (size_t i = 0; argc >= 2 && i < ELEMENTSOF(verbs); i++)
                if (streq(argv[1], verbs[i].name))
                        return verbs[i].run(argc - 1, argv + 1);
        if (argc >= 2)
                log_error("Unknown verb \"%s\", see ctr-worker --help", argv[1]);
        else
                log_error("A verb is needed, see ctr-worker --help");
        return 1;
}

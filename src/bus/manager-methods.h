/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the interface Manager share: its methods and the readers of their arguments. */

#include "bus/options.h"
#include "manager/object.h"

typedef struct Service Service;

/* An OptionParser, s: const char *, validated. */
int option_namespace(OptionReader *o, void *target);

/* An OptionParser, h: int; something that can be read, which stays the message's. */
int option_credentials(OptionReader *o, void *target);

/* A table with nothing but Namespace; its base is a const char *. */
extern const Option namespace_option[];

/* Reads an argument s: an image reference; *ret is its normalised form. */
int reference_read(sd_bus_message *m, char **ret, sd_bus_error *error);

/* Reads an argument s: an id, validated. */
int identifier_read(sd_bus_message *m, const char *what, const char **ret, sd_bus_error *error);

/*
 * The first two steps of a method, reading and authorize(): 1: go on; 0: polkit was asked, return
 * 1; negative: error is set.
 */

/* Of a method about nothing in particular; Namespace is understood and means nothing. */
int prepare_nothing(sd_bus_message *m, Service *s, sd_bus_error *error);

/* Of a method about one namespace or all of them: options by table. *namespace and *all_namespaces
 * are the fields of options that Namespace and AllNamespaces go to; the former is set to its
 * default before, and to NULL if it is all of them. */
int prepare_in_namespaces(sd_bus_message *m, Service *s, const Option *table, void *options,
                          const char **namespace, const bool *all_namespaces, sd_bus_error *error);

/* Of a method about a container: its id, and Namespace. */
int prepare_container(sd_bus_message *m, Service *s, const char **ret_namespace,
                      const char **ret_id, sd_bus_error *error);

/* Of a method about an image: a reference, and options by table. *namespace is the field of options
 * that Namespace goes to, set to its default before. */
int prepare_image(sd_bus_message *m, Service *s, const Option *table, void *options,
                  const char *const *namespace, char **ret_reference, sd_bus_error *error);

int method_pull_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_push_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_import_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_export_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_resolve_remote_digest(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_search_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_delete_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_tag_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_prune_images(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_create_container(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_prune_containers(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_create_container_from_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_prepare_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_view_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_commit_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_remove_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_set_snapshot_labels(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_snapshot_mounts(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_stat_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_snapshots(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_snapshot_usage(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_snapshotters(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_create_volume(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_remove_volume(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_stat_volume(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_volumes(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_volume_usage(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_prune_volumes(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_export_volume(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_import_volume(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_create_secret(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_remove_secret(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_stat_secret(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_secrets(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_list_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_containers(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_list_namespaces(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_create_namespace(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_set_namespace_labels(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_delete_namespace(sd_bus_message *m, void *userdata, sd_bus_error *error);

int method_list_content(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_ingests(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_get_content(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_delete_content(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_set_content_labels(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_verify_content(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_quarantine(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_collect_garbage(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_disk_usage(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_create_lease(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_delete_lease(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_leases(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_add_lease_resource(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_remove_lease_resource(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_lease_resources(sd_bus_message *m, void *userdata, sd_bus_error *error);

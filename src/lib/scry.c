/* scry.c - the functions of scry.h: checks of what a caller may get wrong, and one call into the core each. */
#include "scry.h"

#include <stdlib.h>
#include <string.h>

#include "core/context.h"
#include "core/pipeline.h"
#include "core/result.h"
#include "core/status.h"

/* Calls that a programmer got wrong; the sentence is for the log that is read next. */
static int
wrong(struct scry *scry, const char *sentence)
{
	return scry == NULL ? SCRY_E_ARGUMENT : why_set(&scry->why, SCRY_E_ARGUMENT, "%s", sentence);
}

const char *
scry_error_name(int error)
{
	static const char *const names[] = {"ok",     "argument",    "memory",    "input", "limit", "timeout",
	                                    "worker", "unavailable", "cancelled", "busy",  "model", "system"};
	size_t index = error <= 0 && error >= SCRY_E_SYSTEM ? (size_t)-error : SIZE_MAX;
	return index < sizeof(names) / sizeof(names[0]) ? names[index] : "unknown";
}

const char *
scry_version(void)
{
	return SCRY_VERSION;
}

int
scry_open(const struct scry_options *options, struct scry **out)
{
	return out == NULL ? SCRY_E_ARGUMENT : context_create(options, out);
}

void
scry_close(struct scry *scry)
{
	context_destroy(scry);
}

const char *
scry_error(const struct scry *scry)
{
	return scry == NULL ? "" : scry->why.text;
}

int
scry_backends(struct scry *scry, struct scry_backend *rows, size_t count)
{
	struct backend_facts facts;
	if (scry == NULL || (rows == NULL && count > 0))
		return wrong(scry, "scry_backends() needs room for its rows");
	context_facts(scry, &facts);
	for (size_t i = 0; i < BACKEND_ROWS && i < count; i++) {
		const struct backend *backend = backend_get((enum backend_id)i);
		bool available = backend_available((enum backend_id)i, &facts, &scry->row_why[i]);
		rows[i] = (struct scry_backend){.name = backend->name,
		                                .title = backend->title,
		                                .ram_mb = backend->ram_mb,
		                                .needs_gpu = backend->needs_gpu,
		                                .available = available,
		                                .why = scry->row_why[i].text};
	}
	return BACKEND_ROWS;
}

int
scry_select(struct scry *scry, const char *wanted, const char **name)
{
	struct backend_facts facts;
	struct backend_choice choice;
	if (scry == NULL || name == NULL)
		return wrong(scry, "scry_select() needs a place for the name");
	context_facts(scry, &facts);
	int error = backend_select(wanted != NULL ? wanted : scry->backend, &facts, &choice, &scry->why);
	if (error == 0)
		*name = backend_get(choice.id)->name;
	return error;
}

int
scry_status(struct scry *scry, int probe, char **json)
{
	if (scry == NULL || json == NULL)
		return wrong(scry, "scry_status() needs a place for the document");
	if (probe && scry->turning)
		return wrong(scry, "scry_status() with a probe waits, and cannot be called from a callback");
	return status_json(scry, probe, json, &scry->why);
}

int
scry_explain(struct scry *scry, const char *wanted, char **json)
{
	if (scry == NULL || json == NULL)
		return wrong(scry, "scry_explain() needs a place for the document");
	return status_explain(scry, wanted, json, &scry->why);
}

struct scry_image
scry_image_path(const char *path)
{
	return (struct scry_image){.path = path, .fd = -1};
}

struct scry_image
scry_image_bytes(const void *data, size_t size)
{
	return (struct scry_image){.data = data, .size = size, .fd = -1};
}

struct scry_image
scry_image_fd(int fd)
{
	return (struct scry_image){.fd = fd};
}

int
scry_submit(struct scry *scry, struct scry_image image, const struct scry_query *query, scry_piece_fn piece,
            scry_done_fn done, void *user, struct scry_request **out)
{
	struct request *request;
	if (scry == NULL || done == NULL)
		return wrong(scry, "scry_submit() needs a function to call at the end");
	int error = pipeline_submit(scry, &image, query, piece, done, user, &request, &scry->why);
	if (error < 0)
		return error;
	context_settle(scry);
	if (out != NULL)
		*out = (struct scry_request *)request;
	return 0;
}

void
scry_cancel(struct scry_request *request)
{
	if (request != NULL)
		context_cancel((struct request *)request);
}

int
scry_fd(const struct scry *scry)
{
	return scry == NULL ? SCRY_E_ARGUMENT : scry->poll_fd;
}

int
scry_dispatch(struct scry *scry, int timeout_ms)
{
	if (scry == NULL || scry->turning)
		return wrong(scry, "scry_dispatch() cannot be called from a callback");
	context_run(scry, timeout_ms);
	return (int)scry->request_count;
}

struct waited {
	bool over;
	int error;
	struct scry *scry;
	struct scry_result *result;
};

static void
on_waited(void *user, int error, const char *sentence, struct scry_result *result)
{
	struct waited *waited = user;
	waited->over = true;
	waited->error = error;
	waited->result = result;
	if (error < 0)
		why_set(&waited->scry->why, error, "%s", sentence);
}

int
scry_describe(struct scry *scry, struct scry_image image, const struct scry_query *query, struct scry_result **out)
{
	struct waited waited = {.scry = scry};
	if (scry == NULL || out == NULL)
		return wrong(scry, "scry_describe() needs a place for the result");
	if (scry->turning)
		return wrong(scry, "scry_describe() waits, and cannot be called from a callback; scry_submit() can");
	int error = scry_submit(scry, image, query, NULL, on_waited, &waited, NULL);
	if (error < 0)
		return error;
	while (!waited.over)
		context_run(scry, -1);
	if (waited.error == 0)
		*out = waited.result;
	return waited.error;
}

const char *
scry_result_text(const struct scry_result *result)
{
	return result == NULL ? "" : result->text;
}

const char *
scry_result_backend(const struct scry_result *result)
{
	return result == NULL ? "" : result->backend;
}

const char *
scry_result_json(struct scry_result *result)
{
	return result == NULL ? NULL : result_json(result);
}

int
scry_result_label(const struct scry_result *result, size_t index, struct scry_label *out)
{
	if (result == NULL || out == NULL || index >= result->label_count)
		return SCRY_E_ARGUMENT;
	*out = result->labels[index];
	return 0;
}

void
scry_result_free(struct scry_result *result)
{
	result_destroy(result);
}

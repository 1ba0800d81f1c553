/* status.c - see status.h. A probe is a job like any other: it waits for the worker, has a deadline and one end. */
#include "core/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/result.h"

#define WORKERS_MAX (BACKEND_COUNT + 1)

/* One worker in the document. */
struct entry {
	struct job job;
	struct jobs *jobs; /* NULL: was never needed */
	const char *program;
	bool waiting, probed;
	struct proto_probed could;
	struct why why; /* why the probe failed */
};

struct listing {
	struct entry entries[WORKERS_MAX];
	unsigned count;
};

#define entry_of(member) ((struct entry *)((char *)(member)-offsetof(struct entry, job)))

static int
send_probe(struct job *job, struct worker *worker, struct why *why)
{
	(void)why;
	return worker_send(worker, PROTO_PROBE, job->id, NULL, 0, -1);
}

static int
take_probed(struct job *job, struct msg *msg)
{
	if (msg->head.type != PROTO_PROBED)
		return -EPROTO;
	entry_of(job)->could = msg->body.probed;
	return JOB_OVER;
}

static void
end_probe(struct job *job, int error, const char *sentence)
{
	struct entry *entry = entry_of(job);
	entry->waiting = false;
	entry->probed = error == 0;
	why_set(&entry->why, 0, "%s", sentence);
}

static const struct job_ops probe_ops = {.send = send_probe, .message = take_probed, .end = end_probe};

static void
begin_probe(struct entry *entry, uint64_t deadline_us)
{
	entry->job.ops = &probe_ops;
	entry->job.deadline_us = deadline_us;
	entry->waiting = jobs_offer(entry->jobs, &entry->job, &entry->why) == 0;
}

/* The workers that exist in this core; with `all`, those that could. */
static void
collect(struct scry *scry, bool all, struct listing *list)
{
	struct backend_facts facts;
	struct eye *eye = scry->eye;
	struct why why;
	context_facts(scry, &facts);
	if (eye != NULL || (all && context_eye(scry, &eye, &why) == 0))
		list->entries[list->count++] = (struct entry){.jobs = eye_jobs(eye), .program = "scry-eye"};
	for (int i = 0; i < BACKEND_COUNT; i++) {
		struct engine *engine = scry->engines[i];
		if (engine == NULL &&
		    (!all || !facts.worker[i] || !backend_available((enum backend_id)i, &facts, &why) ||
		     context_engine(scry, (enum backend_id)i, &engine, &why) < 0))
			continue;
		list->entries[list->count++] =
			(struct entry){.jobs = engine_jobs(engine), .program = backend_get((enum backend_id)i)->program};
	}
}

static bool
any_waiting(const struct listing *list)
{
	for (unsigned i = 0; i < list->count; i++) {
		if (list->entries[i].waiting)
			return true;
	}
	return false;
}

static void
probe_all(struct scry *scry, struct listing *list)
{
	uint64_t deadline_us = clock_us() + (uint64_t)STATUS_PROBE_MS * 1000;
	for (unsigned i = 0; i < list->count; i++)
		begin_probe(&list->entries[i], deadline_us);
	/* Each probe is a request as far as the loop is concerned: something to wait for. */
	scry->request_count++;
	while (any_waiting(list))
		context_run(scry, -1);
	scry->request_count--;
}

static const char *
verdict(uint32_t could)
{
	return could != 0 ? "ALLOWED" : "denied";
}

static json_t *
probe_json(const struct entry *entry)
{
	const struct proto_probed *could = &entry->could;
	if (!entry->probed)
		return json_pack("{s:s}", "error", entry->why.text);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "open_file", verdict(could->open_file), "write_file",
	                 verdict(could->write_file), "socket", verdict(could->socket), "exec", verdict(could->exec),
	                 "ptrace", verdict(could->ptrace));
}

static json_t *
entry_json(const struct entry *entry, bool probe)
{
	struct worker_info info;
	worker_info(jobs_worker(entry->jobs), &info);
	json_t *object = json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:o, s:i, s:s}", "program", entry->program, "state",
	                           worker_state_name(info.state), "pid", info.pid, "starts", (int)info.starts, "deaths",
	                           (int)info.deaths, "model", info.model, "sandbox", result_sandbox_json(info.sandbox),
	                           "landlock", (int)info.landlock, "last_words", info.last_words);
	if (probe && json_object_set_new(object, "probe", probe_json(entry)) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static int
dump(json_t *document, char **json, struct why *why)
{
	char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (text == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	*json = text;
	return 0;
}

int
status_json(struct scry *scry, int probe, char **json, struct why *why)
{
	struct listing list = {.count = 0};
	json_t *workers = json_array();
	struct why folder; /* as text: JSON takes no path that is not UTF-8 */
	bool ok = true;
	why_set(&folder, 0, "%s", scry->launch.folder);
	collect(scry, probe != 0, &list);
	if (probe)
		probe_all(scry, &list);
	for (unsigned i = 0; i < list.count; i++)
		ok = json_array_append_new(workers, entry_json(&list.entries[i], probe != 0)) == 0 && ok;
	if (!ok) { /* a worker that is missing from the list would pass for one that is not there */
		json_decref(workers);
		workers = NULL;
	}
	return dump(json_pack("{s:s, s:s, s:i, s:i, s:o}", "version", SCRY_VERSION, "workers_folder", folder.text, "cpus",
	                      (int)scry->host.cpus, "ram_mb", (int)scry->host.ram_mb, "workers", workers),
	            json, why);
}

int
status_explain(struct scry *scry, const char *wanted, char **json, struct why *why)
{
	struct backend_facts facts;
	struct backend_choice choice;
	json_t *steps = json_array();
	bool ok = true;
	context_facts(scry, &facts);
	int error = backend_select(wanted != NULL ? wanted : scry->backend, &facts, &choice, why);
	for (unsigned i = 0; i < choice.step_count; i++)
		ok = json_array_append_new(steps,
		                           json_pack("{s:s, s:b, s:s}", "rule", choice.steps[i].rule, "chosen",
		                                     (int)choice.steps[i].chosen, "reason", choice.steps[i].reason)) == 0 &&
			ok;
	if (error < 0 || !ok) {
		json_decref(steps);
		return error < 0 ? error : why_set(why, SCRY_E_MEMORY, "out of memory");
	}
	return dump(json_pack("{s:s, s:o}", "backend", backend_get(choice.id)->name, "steps", steps), json, why);
}

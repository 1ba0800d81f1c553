/* engine.c - see engine.h. Answers come from a process that has read hostile pixels with a large library: text must be
 * UTF-8, numbers finite and in range, and neither may come without end. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "scry.h"

struct engine {
	struct jobs *jobs;
	struct engine_setup setup;
	uint32_t parts;
};

#define engine_job_of(member) ((struct engine_job *)((char *)(member)-offsetof(struct engine_job, job)))

static void
send_file(struct worker *worker, const struct engine_file *file)
{
	struct proto_file body = {.kind = file->kind};
	struct stat st;
	_cleanup_fd_ int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	body.size = (uint64_t)st.st_size;
	str_copy(body.name, sizeof(body.name), file->name);
	worker_send(worker, PROTO_FILE, 0, &body, sizeof(body), fd);
}

static int
on_hello(void *user, struct worker *worker, struct why *why)
{
	struct engine *engine = user;
	const struct engine_setup *setup = &engine->setup;
	struct proto_ring ring = {
		.ring = setup->ring_number, .slots = slots_count(setup->ring), .slot_bytes = slots_bytes(setup->ring)};
	int fd = slots_open_fd(setup->ring, false);
	if (fd < 0)
		return why_set(why, SCRY_E_SYSTEM, "cannot hand the frame memory to %s: %s (is /proc mounted?)",
		               setup->spec.name, strerror(-fd));
	worker_send(worker, PROTO_RING, 0, &ring, sizeof(ring), fd);
	close(fd);
	for (unsigned i = 0; i < setup->file_count; i++)
		send_file(worker, &setup->files[i]);
	return 0;
}

static void
on_ready(void *user, const struct proto_ready *ready)
{
	((struct engine *)user)->parts = ready->parts;
}

static const struct jobs_ops engine_jobs_ops = {.on_hello = on_hello, .on_ready = on_ready};

static int
send_describe(struct job *member, struct worker *worker, struct why *why)
{
	struct engine_job *job = engine_job_of(member);
	uint64_t now = clock_us();
	const char *texts[] = {job->prompt != NULL ? job->prompt : "", job->extra != NULL ? job->extra : ""};
	size_t prompt = strlen(texts[0]), extra = strlen(texts[1]);
	struct proto_describe body = {
		.ring = job->ring,
		.slot = job->slot,
		.generation = job->generation,
		.flags = job->flags,
		.max_tokens = job->max_tokens,
		.deadline_ms = member->deadline_us > now ? (uint32_t)((member->deadline_us - now) / 1000) + 1 : 1,
		.prompt_bytes = (uint32_t)prompt,
		.extra_bytes = (uint32_t)extra,
		.task = job->task,
		.seed = job->seed,
		.temperature = job->temperature};
	_cleanup_fd_ int fd = -1;
	if (job->language != NULL)
		str_copy(body.language, sizeof(body.language), job->language);
	if (prompt + extra > 0) {
		_cleanup_free_ char *both = malloc(prompt + extra + 1);
		if (both != NULL) {
			memcpy(both, texts[0], prompt);
			memcpy(both + prompt, texts[1], extra);
		}
		fd = both == NULL ? -ENOMEM : fd_sealed_copy("scry-prompt", both, prompt + extra);
		if (fd < 0)
			return why_set(why, SCRY_E_SYSTEM, "cannot make memory for the prompt: %s", strerror(-fd));
	}
	return worker_send(worker, PROTO_DESCRIBE, member->id, &body, sizeof(body), fd);
}

static int
take_piece(struct engine_job *job, const struct proto_piece *piece)
{
	if (piece->bytes == 0 || piece->bytes >= PROTO_PIECE || !str_utf8_valid(piece->text, piece->bytes))
		return -EPROTO;
	job->text_bytes += piece->bytes;
	if (job->text_bytes > ENGINE_TEXT_MAX)
		return -EPROTO;
	job->piece(job, piece->text, piece->bytes);
	return JOB_MORE;
}

static bool
part_of_one(float value)
{
	return isfinite(value) && value >= 0.f && value <= 1.f;
}

static int
take_item(struct engine_job *job, const struct proto_item *item)
{
	if (++job->items > PROTO_ITEMS || item->kind < PROTO_ITEM_OBJECT || item->kind > PROTO_ITEM_BRIGHTNESS)
		return -EPROTO;
	if (!part_of_one(item->score) || !part_of_one(item->x) || !part_of_one(item->y) || !part_of_one(item->width) ||
	    !part_of_one(item->height) || !str_utf8_valid(item->text, strlen(item->text)))
		return -EPROTO;
	job->item(job, item);
	return JOB_MORE;
}

static int
take_answer(struct job *member, struct msg *msg)
{
	struct engine_job *job = engine_job_of(member);
	switch (msg->head.type) {
	case PROTO_PIECE_OF_TEXT:
		return take_piece(job, &msg->body.piece);
	case PROTO_ITEM:
		return take_item(job, &msg->body.item);
	case PROTO_DONE:
		if (msg->body.done.finish != PROTO_FINISH_STOP && msg->body.done.finish != PROTO_FINISH_LENGTH)
			return -EPROTO;
		job->report = msg->body.done;
		return JOB_OVER;
	default:
		return -EPROTO;
	}
}

static void
end_describe(struct job *member, int error, const char *sentence)
{
	struct engine_job *job = engine_job_of(member);
	job->done(job, error, sentence, error == 0 ? &job->report : NULL);
}

static const struct job_ops describe_ops = {.send = send_describe, .message = take_answer, .end = end_describe};

int
engine_create(uv_loop_t *loop, const struct log *log, const struct engine_setup *setup, struct engine **out)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return SCRY_E_MEMORY;
	engine->setup = *setup;
	int error = jobs_create(loop, log, &engine->setup.spec, &engine_jobs_ops, engine, &engine->jobs);
	if (error < 0) {
		free(engine);
		return error;
	}
	*out = engine;
	return 0;
}

void
engine_destroy(struct engine *engine)
{
	if (engine == NULL)
		return;
	jobs_destroy(engine->jobs);
	free(engine);
}

int
engine_describe(struct engine *engine, struct engine_job *job, struct why *why)
{
	job->job.ops = &describe_ops;
	job->text_bytes = 0;
	job->items = 0;
	return jobs_offer(engine->jobs, &job->job, why);
}

void
engine_cancel(struct engine *engine, struct engine_job *job, int error, const char *sentence)
{
	jobs_cancel(engine->jobs, &job->job, error, sentence);
}

uint32_t
engine_parts(const struct engine *engine)
{
	return engine->parts;
}

struct jobs *
engine_jobs(struct engine *engine)
{
	return engine->jobs;
}

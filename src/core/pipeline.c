/* pipeline.c - see pipeline.h for the map. Runs on the core's loop. Owns the requests. */
#include "core/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "core/input.h"
#include "engine/schema.h"

#define request_of_eye(member) ((struct request *)((char *)(member)-offsetof(struct request, eye_job)))
#define request_of_engine(member) ((struct request *)((char *)(member)-offsetof(struct request, engine_job)))

void
pipeline_let_go(struct request *request)
{
	if (request->holds)
		jobs_let_go(engine_jobs(request->engine));
	request->holds = false;
}

static void
request_free(struct request *request)
{
	if (request == NULL)
		return;
	pipeline_let_go(request);
	fd_close(&request->fd);
	result_destroy(request->result);
	free(request->name);
	free(request->prompt);
	free(request->language);
	free(request->extra);
	free(request);
}

/* The slot goes back. Every way out of a request passes here. */
static void
pipeline_on_frame_done(struct request *request)
{
	if (!request->has_frame)
		return;
	request->has_frame = false;
	eye_release(request->scry->eye, &request->frame);
}

static void
add_worker(struct scry_result *result, const char *program, struct jobs *jobs)
{
	struct worker_info info;
	struct result_worker *worker = &result->workers[result->worker_count++];
	worker_info(jobs_worker(jobs), &info);
	str_copy(worker->program, sizeof(worker->program), program);
	str_copy(worker->model, sizeof(worker->model), info.model);
	worker->sandbox = info.sandbox;
	worker->landlock = info.landlock;
}

/* What the stages stamped, put together. Waiting for a start is `load`, all other waiting is `queue`. */
static void
stamp(struct request *request, const struct proto_done *done)
{
	struct scry_result *result = request->result;
	const struct job *eye = &request->eye_job.job, *engine = &request->engine_job.job;
	result->us.decode = request->frame.decode_us;
	result->us.load = eye->start_us;
	result->us.queue = eye->sent_us - eye->offered_us - eye->start_us;
	add_worker(result, "scry-eye", eye_jobs(request->scry->eye));
	if (done != NULL) {
		result->us.load += engine->start_us;
		result->us.queue += engine->sent_us - engine->offered_us - engine->start_us;
		result->us.encode = done->encode_us;
		result->us.prompt = done->prompt_us;
		result->us.generate = done->generate_us;
		result->finish = done->finish;
		result->image_tokens = done->image_tokens;
		result->prompt_tokens = done->prompt_tokens;
		result->tokens = done->tokens;
		result->drafted = done->drafted;
		add_worker(result, request->backend->program, engine_jobs(request->engine));
	}
	result->us.total = clock_us() - request->submitted_us;
}

/* The caller's callback, exactly once, and the end of the request. */
static void
pipeline_finish(struct request *request, int error, const char *sentence)
{
	struct scry *scry = request->scry;
	struct scry_result *result = NULL;
	struct why why = {""};
	request->stage = REQUEST_OVER;
	pipeline_on_frame_done(request);
	if (error == 0 && (request->out_of_memory || !result_complete(request->result))) {
		error = SCRY_E_MEMORY;
		sentence = "out of memory";
	}
	if (error == 0) {
		result = request->result;
		request->result = NULL;
	} else {
		why_set(&why, 0, "%s: %s", request->name, sentence);
	}
	DL_DELETE(scry->requests, request);
	scry->request_count--;
	request->done(request->user, error, why.text, result);
	request_free(request);
}

static void
pipeline_on_piece(struct engine_job *job, const char *text, size_t bytes)
{
	struct request *request = request_of_engine(job);
	size_t before = request->result->text_bytes;
	if (!result_add_text(request->result, text, bytes)) {
		request->out_of_memory = true;
		return;
	}
	if (request->piece != NULL)
		request->piece(request->user, request->result->text + before);
}

static void
pipeline_on_item(struct engine_job *job, const struct proto_item *item)
{
	struct request *request = request_of_engine(job);
	if (!result_add_item(request->result, item))
		request->out_of_memory = true;
}

static void
pipeline_on_caption(struct engine_job *job, int error, const char *sentence, const struct proto_done *done)
{
	struct request *request = request_of_engine(job);
	if (error == 0)
		stamp(request, done);
	pipeline_finish(request, error, sentence);
}

static int
ask_engine(struct request *request, struct why *why)
{
	struct engine_job *job = &request->engine_job;
	job->ring = EYE_RING;
	job->slot = request->frame.slot;
	job->generation = request->frame.generation;
	job->flags = request->flags;
	job->max_tokens = request->max_tokens != 0 ? request->max_tokens : request->backend->max_tokens;
	job->prompt = request->prompt != NULL ? request->prompt : request->backend->prompt;
	job->task = request->task;
	job->extra = request->extra;
	job->seed = request->seed;
	job->temperature = request->temperature;
	job->language = request->language;
	job->piece = pipeline_on_piece;
	job->item = pipeline_on_item;
	job->done = pipeline_on_caption;
	job->job.deadline_us = request->deadline_us;
	return engine_describe(request->engine, job, why);
}

static void
pipeline_on_frame(struct eye_job *job, int error, const char *sentence, const struct eye_frame *frame)
{
	struct request *request = request_of_eye(job);
	struct why why;
	fd_close(&request->fd);
	if (error < 0) {
		pipeline_finish(request, error, sentence);
		return;
	}
	request->frame = *frame;
	request->has_frame = true;
	request->result->width = frame->source_width;
	request->result->height = frame->source_height;
	request->result->hash = frame->hash;
	if (request->engine == NULL) {
		stamp(request, NULL);
		pipeline_finish(request, 0, NULL);
		return;
	}
	request->stage = REQUEST_DESCRIBING;
	error = ask_engine(request, &why);
	if (error < 0)
		pipeline_finish(request, error, why.text);
}

void
pipeline_cancel(struct request *request, int error, const char *sentence)
{
	if (request->stage == REQUEST_DECODING)
		eye_cancel(request->scry->eye, &request->eye_job, error, sentence);
	else if (request->stage == REQUEST_DESCRIBING)
		engine_cancel(request->engine, &request->engine_job, error, sentence);
}

/* --- the beginning --------------------------------------------------------------------------------------- */

static int
check_query(const struct scry_query *query, struct why *why)
{
	if (query->prompt != NULL && strlen(query->prompt) > PIPELINE_PROMPT_MAX)
		return why_set(why, SCRY_E_LIMIT, "the prompt is longer than %zu bytes", PIPELINE_PROMPT_MAX);
	if (query->prompt != NULL && !str_utf8_valid(query->prompt, strlen(query->prompt)))
		return why_set(why, SCRY_E_ARGUMENT, "the prompt is not valid UTF-8");
	if (query->max_tokens > PIPELINE_TOKENS_MAX)
		return why_set(why, SCRY_E_ARGUMENT, "at most %u tokens can be asked for", PIPELINE_TOKENS_MAX);
	if (query->deadline_ms > PIPELINE_DEADLINE_MAX_MS)
		return why_set(why, SCRY_E_ARGUMENT, "a deadline is at most %u ms", PIPELINE_DEADLINE_MAX_MS);
	if (!(query->temperature >= 0.f && query->temperature <= 2.f))
		return why_set(why, SCRY_E_ARGUMENT, "a temperature is 0 to 2");
	if (query->language != NULL &&
	    (strlen(query->language) >= PROTO_NAME ||
	     strspn(query->language,
	            "abcdefghijklmnopqrstuvwxyz"
	            "ABCDEFGHIJKLMNOPQRSTUVWXYZ_+0123456789") != strlen(query->language)))
		return why_set(why, SCRY_E_ARGUMENT, "\"%.40s\" is not a list of Tesseract languages such as eng+deu",
		               query->language);
	return 0;
}

/* What binds the answer, for the engine. */
static int
check_bound(const struct scry_query *query, const struct backend *backend, struct why *why)
{
	if (query->choices == NULL && query->schema == NULL)
		return 0;
	if (query->choices != NULL && query->schema != NULL)
		return why_set(why, SCRY_E_ARGUMENT, "an answer is bound to choices or to a schema, not to both");
	if ((backend->can & CAN_CHOOSE) == 0)
		return why_set(why, SCRY_E_UNAVAILABLE,
		               "backend %s has no words to choose among; one that runs a GGUF model has: -b demo-vlm, qwen08b",
		               backend->name);
	const char *text = query->choices != NULL ? query->choices : query->schema;
	if (strlen(text) > PIPELINE_PROMPT_MAX || !str_utf8_valid(text, strlen(text)))
		return why_set(why, SCRY_E_ARGUMENT, "the choices or the schema are too long or not valid UTF-8");
	return 0;
}

static int
bind_answer(struct request *request, const struct scry_query *query, struct why *why)
{
	if (query->schema != NULL) {
		request->task = PROTO_TASK_GRAMMAR;
		return schema_grammar(query->schema, &request->extra, why);
	}
	if (query->choices == NULL)
		return 0;
	request->task = PROTO_TASK_CHOICES;
	request->extra = strdup(query->choices);
	return request->extra != NULL ? 0 : why_set(why, SCRY_E_MEMORY, "out of memory");
}

static char *
copy_or_null(const char *text, bool *failed)
{
	char *copy = text == NULL ? NULL : strdup(text);
	*failed |= text != NULL && copy == NULL;
	return copy;
}

static const char *
name_of(const struct scry_image *image)
{
	return image->name != NULL ? image->name : image->path != NULL ? image->path : "the picture";
}

static struct request *
request_create(struct scry *scry, const struct scry_image *image, const struct scry_query *query,
               const struct backend *backend)
{
	bool failed = false;
	struct request *request = calloc(1, sizeof(*request));
	if (request == NULL)
		return NULL;
	unsigned deadline_ms = query->deadline_ms != 0 ? query->deadline_ms : PIPELINE_DEADLINE_MS;
	request->scry = scry;
	request->backend = backend;
	request->fd = -1;
	request->submitted_us = clock_us();
	request->deadline_us = request->submitted_us + (uint64_t)deadline_ms * 1000;
	request->max_tokens = query->max_tokens;
	request->flags = (query->no_text ? PROTO_DESCRIBE_NO_TEXT : 0) | (query->no_drafts ? PROTO_DESCRIBE_NO_DRAFT : 0);
	request->seed = query->seed;
	request->temperature = query->greedy ? 0.f : query->temperature > 0.f ? query->temperature : -1.f;
	request->name = copy_or_null(name_of(image), &failed);
	request->prompt = copy_or_null(query->prompt, &failed);
	request->language = copy_or_null(query->language, &failed);
	request->result = result_create(backend->name);
	if (!failed && request->result != NULL)
		return request;
	request_free(request);
	return NULL;
}

/* Both workers are started at once, so that a model loads while the picture is decoded. */
static int
begin(struct request *request, enum backend_id id, const struct scry_image *image, const struct scry_query *query,
      struct why *why)
{
	struct scry *scry = request->scry;
	struct eye *eye;
	int error = input_open(image, &request->fd, &request->eye_job.bytes, why);
	if (error < 0) {
		struct why reason = *why;
		return why_set(why, error, "%s: %s", request->name, reason.text);
	}
	error = context_eye(scry, &eye, why);
	if (error == 0 && request->backend->runner == RUN_ENGINE) {
		error = context_admit(scry, id, why);
		if (error == 0)
			error = context_engine(scry, id, &request->engine, why);
		if (error == 0) {
			jobs_keep(engine_jobs(request->engine), context_keep(scry, id, query));
			jobs_hold(engine_jobs(request->engine));
			request->holds = true;
		}
		if (error == 0)
			error = jobs_start(engine_jobs(request->engine), why);
	}
	if (error < 0)
		return error;
	request->eye_job.fd = request->fd;
	request->eye_job.max_width = request->backend->max_width;
	request->eye_job.max_height = request->backend->max_height;
	request->eye_job.done = pipeline_on_frame;
	request->eye_job.job.deadline_us = request->deadline_us;
	return eye_decode(eye, &request->eye_job, why);
}

int
pipeline_submit(struct scry *scry, const struct scry_image *image, const struct scry_query *query, scry_piece_fn piece,
                scry_done_fn done, void *user, struct request **out, struct why *why)
{
	static const struct scry_query plain;
	struct backend_facts facts;
	struct backend_choice choice;
	query = query != NULL ? query : &plain;
	if (scry->closing)
		return why_set(why, SCRY_E_CANCELLED, "the core is being closed");
	int error = check_query(query, why);
	if (error < 0)
		return error;
	context_facts(scry, &facts);
	error = backend_select(query->backend != NULL ? query->backend : scry->backend, &facts, &choice, why);
	if (error < 0)
		return error;
	error = check_bound(query, backend_get(choice.id), why);
	if (error < 0)
		return error;
	struct request *request = request_create(scry, image, query, backend_get(choice.id));
	if (request == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	request->piece = piece;
	request->done = done;
	request->user = user;
	error = bind_answer(request, query, why);
	if (error == 0)
		error = begin(request, choice.id, image, query, why);
	if (error < 0) {
		request_free(request);
		return error;
	}
	DL_APPEND(scry->requests, request);
	scry->request_count++;
	*out = request;
	return 0;
}

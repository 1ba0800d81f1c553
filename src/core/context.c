/* context.c - see context.h: makes and ends a core, finds its parts, runs its loop. */
#include "core/context.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"
#include "core/pipeline.h"
#include "core/pressure.h"

#define THREADS_MAX 64u
#define START_MS_MAX 600000u

/* --- small settings --------------------------------------------------------------------------------------- */

static unsigned
setting(const char *name, unsigned max, unsigned otherwise)
{
	unsigned long value;
	const char *text = secure_getenv(name);
	return text != NULL && str_number(text, 1, max, &value) ? (unsigned)value : otherwise;
}

static void
to_log(void *user, int level, const char *line)
{
	struct scry *scry = user;
	if (scry->log_fn != NULL)
		scry->log_fn(scry->log_user, (enum scry_log_level)level, line);
	else if (level <= LOG_WARN)
		fprintf(stderr, "scry: %s\n", line);
}

/* OpenMP is configured by the environment alone and reads it at load time. PASSIVE: a waiting team must not spin on the
 * two cores that the rest of the machine needs. */
#define SPIN 1000u
static void
make_engine_env(struct scry *scry)
{
	const char *fake = secure_getenv("SCRY_FAKE_START");
	unsigned n = 0;
	snprintf(scry->env_text[0], sizeof(scry->env_text[0]), "OMP_NUM_THREADS=%u", scry->threads);
	scry->engine_env[n++] = scry->env_text[0];
	snprintf(scry->env_text[1], sizeof(scry->env_text[1]), "OMP_WAIT_POLICY=PASSIVE");
	scry->engine_env[n++] = scry->env_text[1];
	/* llama.cpp meets its threads at a barrier for every node of its graph. A team that sleeps at once is slower by a third on
	 * an idle machine; one that spins on is slower a hundred times on a busy one, where the thread waited for has no
	 * processor. Some ten microseconds are between the two. */
	scry->llama_env[0] = scry->env_text[0];
	snprintf(scry->env_text[3], sizeof(scry->env_text[3]), "GOMP_SPINCOUNT=%u", setting("SCRY_SPIN", UINT32_MAX, SPIN));
	scry->llama_env[1] = scry->env_text[3];
	if (fake != NULL) {
		snprintf(scry->env_text[2], sizeof(scry->env_text[2]), "SCRY_FAKE_START=%.64s", fake);
		scry->engine_env[n++] = scry->env_text[2];
	}
}

/* --- the descriptor for poll ------------------------------------------------------------------------------ */

static int
watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int
open_poll(struct scry *scry)
{
	scry->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	scry->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (scry->poll_fd < 0 || scry->timer_fd < 0 || watch(scry->poll_fd, uv_backend_fd(&scry->loop)) < 0 ||
	    watch(scry->poll_fd, scry->timer_fd) < 0)
		return SCRY_E_SYSTEM;
	return 0;
}

void
context_settle(struct scry *scry)
{
	uv_update_time(&scry->loop);
	int ms = uv_backend_timeout(&scry->loop);
	struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};
	if (ms == 0)
		when.it_value.tv_nsec = 1; /* zero would disarm */
	if (ms < 0)
		when.it_value = (struct timespec){0};
	timerfd_settime(scry->timer_fd, 0, &when, NULL);
}

void
context_run(struct scry *scry, int timeout_ms)
{
	uint64_t expired;
	scry->turning = true;
	/* What is due already must not wait for the poll below. */
	uv_run(&scry->loop, UV_RUN_NOWAIT);
	if (timeout_ms != 0 && scry->request_count > 0) {
		context_settle(scry);
		struct pollfd pfd = {.fd = scry->poll_fd, .events = POLLIN};
		if (poll(&pfd, 1, timeout_ms) > 0)
			uv_run(&scry->loop, UV_RUN_NOWAIT);
	}
	if (read(scry->timer_fd, &expired, sizeof(expired)) < 0)
		expired = 0; /* not expired, which is fine */
	scry->turning = false;
	context_settle(scry);
}

/* --- life ------------------------------------------------------------------------------------------------- */

/* Cancels that callers asked for. The list is walked anew after each: a callback may change it. */
static void
on_later(uv_timer_t *timer)
{
	struct scry *scry = timer->data;
	struct request *request;
	bool again = true;
	while (again) {
		again = false;
		DL_FOREACH (scry->requests, request) {
			if (!request->cancelled)
				continue;
			request->cancelled = false;
			pipeline_cancel(request, SCRY_E_CANCELLED, "cancelled");
			again = true;
			break;
		}
	}
}

#define IDLE_NOT_SET (UINT64_MAX - 1)

/* Seconds, 0 for at once, or "never". */
static uint64_t
idle_setting(void)
{
	unsigned long seconds;
	const char *text = secure_getenv("SCRY_IDLE_UNLOAD");
	if (text != NULL && strcmp(text, "never") == 0)
		return JOBS_KEEP_FOREVER;
	return text != NULL && str_number(text, 0, 10000000, &seconds) ? (uint64_t)seconds * 1000000 : IDLE_NOT_SET;
}

static bool
keep(const char *text, char **copy)
{
	*copy = text != NULL ? strdup(text) : NULL;
	return text == NULL || *copy != NULL;
}

/* In a build folder, the models of the source tree; and where the system that scry replaces keeps them. */
static void
add_places(struct scry *scry)
{
	static const char *const theirs[] = {"/.nunba", "/.trueflow"};
	const char *home = secure_getenv("HOME");
	char folder[FILES_PATH];
	files_add_place(&scry->places, scry->launch.folder);
	for (size_t i = 0; home != NULL && home[0] == '/' && i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		int n = snprintf(folder, sizeof(folder), "%s%s", home, theirs[i]);
		if (n > 0 && (size_t)n < sizeof(folder))
			files_add_place(&scry->places, folder);
	}
}

static int
fill(struct scry *scry, const struct scry_options *options)
{
	host_probe("", &scry->host);
	scry->threads = options->threads != 0 ? options->threads : scry->host.cpus;
	if (scry->threads > THREADS_MAX)
		scry->threads = THREADS_MAX;
	scry->hello_ms = setting("SCRY_WORKER_START_MS", START_MS_MAX, WORKER_HELLO_MS);
	scry->ready_ms = setting("SCRY_MODEL_LOAD_MS", START_MS_MAX, WORKER_READY_MS);
	scry->idle_us = idle_setting();
	scry->limit_mb = setting("SCRY_MEMORY_LIMIT_MB", UINT32_MAX, 0);
	scry->log_fn = options->log;
	scry->log_user = options->log_user;
	scry->log = (struct log){.sink = to_log, .user = scry};
	launch_find(options->workers, &scry->launch);
	files_places(options->models, &scry->places);
	make_engine_env(scry);
	add_places(scry);
	if (!keep(options->backend, &scry->backend) || !keep(options->gguf, &scry->gguf) ||
	    !keep(options->mmproj, &scry->mmproj))
		return SCRY_E_MEMORY;
	return 0;
}

/* libuv aborts when it closes a descriptor of its own below 3, so a host with closed standard descriptors must not get
 * one there: they are occupied for the moment. */
static int
open_loop(uv_loop_t *loop)
{
	bool held[3];
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		held[fd] = fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY | O_CLOEXEC) == fd;
	int error = uv_loop_init(loop);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (held[fd])
			close(fd);
	}
	return error;
}

int
context_create(const struct scry_options *options, struct scry **out)
{
	static const struct scry_options defaults;
	struct scry *scry = calloc(1, sizeof(*scry));
	if (scry == NULL)
		return SCRY_E_MEMORY;
	scry->poll_fd = scry->timer_fd = -1;
	int error = open_loop(&scry->loop);
	if (error < 0) {
		free(scry);
		return error == UV_ENOMEM ? SCRY_E_MEMORY : SCRY_E_SYSTEM;
	}
	uv_timer_init(&scry->loop, &scry->later);
	scry->later.data = scry;
	error = fill(scry, options != NULL ? options : &defaults);
	if (error == 0)
		error = open_poll(scry);
	if (error < 0) {
		context_destroy(scry);
		return error;
	}
	*out = scry;
	return 0;
}

void
context_destroy(struct scry *scry)
{
	if (scry == NULL)
		return;
	/* Callbacks run in here: nothing new may begin, and nothing that is gone may be found. */
	scry->closing = scry->turning = true;
	struct request *request;
	DL_FOREACH (scry->requests, request)
		pipeline_let_go(request);
	/* Engines first: the eye owns the memory that their requests' slots stand in. */
	for (int i = 0; i < BACKEND_COUNT; i++) {
		engine_destroy(scry->engines[i]);
		scry->engines[i] = NULL;
	}
	eye_destroy(scry->eye);
	scry->eye = NULL;
	pressure_destroy(scry->pressure);
	uv_close((uv_handle_t *)&scry->later, NULL);
	/* Only close callbacks are left, so this cannot wait for anything. */
	uv_run(&scry->loop, UV_RUN_DEFAULT);
	uv_loop_close(&scry->loop);
	fd_close(&scry->timer_fd);
	fd_close(&scry->poll_fd);
	free(scry->backend);
	free(scry->gguf);
	free(scry->mmproj);
	free(scry);
}

void
context_cancel(struct request *request)
{
	request->cancelled = true;
	uv_timer_start(&request->scry->later, on_later, 0, 0);
	context_settle(request->scry);
}

/* --- parts ------------------------------------------------------------------------------------------------ */

static void
see_language(void *user, const char *language, const char *path)
{
	(void)language;
	(void)path;
	*(bool *)user = true;
}

bool
context_model(const struct scry *scry, enum backend_id id, bool mmproj, char path[FILES_PATH])
{
	const struct backend *backend = backend_get(id);
	const char *env = mmproj ? backend->mmproj_env : backend->model_env;
	const char *const *names = mmproj ? backend->mmproj_files : backend->model_files;
	const char *set = id != BACKEND_GGUF ? NULL : mmproj ? scry->mmproj : scry->gguf;
	if (set == NULL && env != NULL)
		set = secure_getenv(env);
	/* What somebody named is taken as it is: a mistake in it is told when the file is opened. */
	if (set != NULL && set[0] != '\0')
		return str_copy(path, FILES_PATH, set);
	for (; *names != NULL; names++) {
		if (files_find(&scry->places, *names, path))
			return true;
	}
	return false;
}

void
context_facts(const struct scry *scry, struct backend_facts *out)
{
	static const char *const names[] = {"SCRY_VISION_BACKEND", "HEVOLVE_VISION_BACKEND"};
	char path[LAUNCH_PATH > FILES_PATH ? LAUNCH_PATH : FILES_PATH];
	*out = (struct backend_facts){.ram_mb = scry->host.ram_mb};
	for (int i = 0; i < BACKEND_COUNT; i++) {
		const struct backend *backend = backend_get((enum backend_id)i);
		out->worker[i] = backend->program != NULL && launch_program(&scry->launch, backend->program, path);
		out->model[i] = context_model(scry, (enum backend_id)i, false, path);
		out->mmproj[i] = context_model(scry, (enum backend_id)i, true, path);
	}
	out->lite_objects =
		files_find(&scry->places, "lite/objects.tflite", path) && files_find(&scry->places, "lite/objects.txt", path);
	out->lite_faces = files_find(&scry->places, "lite/face_full.tflite", path) ||
		files_find(&scry->places, "lite/face_short.tflite", path);
	files_languages(see_language, &out->lite_text);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && out->wanted_by_env == NULL; i++) {
		const char *value = secure_getenv(names[i]);
		if (value != NULL && value[0] != '\0') {
			out->wanted_by_env = value;
			out->env_name = names[i];
		}
	}
}

int
context_eye(struct scry *scry, struct eye **out, struct why *why)
{
	struct worker_spec spec = {.name = "scry-eye",
	                           .path = scry->eye_path,
	                           .role = PROTO_ROLE_EYE,
	                           .threads = 1,
	                           .hello_ms = scry->hello_ms,
	                           .ready_ms = scry->hello_ms};
	const struct backend *widest = backend_get(BACKEND_LITE);
	if (scry->eye == NULL) {
		launch_program(&scry->launch, spec.name, scry->eye_path);
		uint64_t slot_bytes = (uint64_t)widest->max_width * widest->max_height * 3;
		int error = eye_create(&scry->loop, &scry->log, &spec, slot_bytes, &scry->eye);
		if (error < 0)
			return why_set(why, error, "cannot make shared memory for frames: %s", strerror(errno));
	}
	*out = scry->eye;
	return 0;
}

/* Bytes of a model file; refused with the reason when it cannot be read. */
static int
size_file(const char *path, uint64_t *bytes, struct why *why)
{
	struct stat st;
	if (access(path, R_OK) < 0 || stat(path, &st) < 0)
		return why_set(why, SCRY_E_MODEL, "the model file %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return why_set(why, SCRY_E_MODEL, "the model file %s is not a file", path);
	*bytes += (uint64_t)st.st_size;
	return 0;
}

/* Weights, a third of them again for what is repacked and computed with, and what a process has at least. */
#define NEEDED_MB(bytes) ((((bytes) + (bytes) / 3) >> 20) + 64)

int
context_admit(struct scry *scry, enum backend_id id, struct why *why)
{
	const struct backend *backend = backend_get(id);
	struct worker_info info = {.pid = 0};
	char path[FILES_PATH];
	uint64_t bytes = 0;
	if (scry->engines[id] != NULL)
		worker_info(jobs_worker(engine_jobs(scry->engines[id])), &info);
	if (backend->model_env == NULL || info.pid != 0)
		return 0;
	for (int mmproj = 0; mmproj < 2; mmproj++) {
		int error = context_model(scry, id, mmproj != 0, path) ? size_file(path, &bytes, why) : 0;
		if (error < 0)
			return error;
	}
	uint64_t needed = NEEDED_MB(bytes), free_mb = host_available_mb("");
	if (scry->limit_mb != 0 && needed > scry->limit_mb)
		return why_set(why, SCRY_E_UNAVAILABLE, "backend %s needs about %llu MB, and SCRY_MEMORY_LIMIT_MB is %u",
		               backend->name, (unsigned long long)needed, scry->limit_mb);
	if (needed > free_mb)
		return why_set(
			why, SCRY_E_UNAVAILABLE,
			"backend %s needs about %llu MB, and %llu MB are free for this process; end others, or raise the "
			"limit of its cgroup",
			backend->name, (unsigned long long)needed, (unsigned long long)free_mb);
	return 0;
}

uint64_t
context_keep(const struct scry *scry, enum backend_id id, const struct scry_query *query)
{
	unsigned own = backend_get(id)->idle_s;
	if (query->unload)
		return 0;
	if (query->keep_alive_s != 0)
		return query->keep_alive_s < 0 ? JOBS_KEEP_FOREVER : (uint64_t)query->keep_alive_s * 1000000;
	if (scry->idle_us != IDLE_NOT_SET && own != 0)
		return scry->idle_us;
	return own == 0 ? JOBS_KEEP_FOREVER : (uint64_t)own * 1000000;
}

static void
add_file(struct engine_setup *setup, enum proto_file_kind kind, const char *name, const char *path)
{
	if (setup->file_count == ENGINE_FILES)
		return;
	struct engine_file *file = &setup->files[setup->file_count++];
	file->kind = kind;
	str_copy(file->name, sizeof(file->name), name);
	str_copy(file->path, sizeof(file->path), path);
}

static void
add_language(void *user, const char *language, const char *path)
{
	add_file(user, PROTO_FILE_TESSDATA, language, path);
}

static void
add_lite_files(const struct scry *scry, struct engine_setup *setup)
{
	static const struct {
		enum proto_file_kind kind;
		const char *name;
	} models[] = {{PROTO_FILE_OBJECTS, "lite/objects.tflite"},
	              {PROTO_FILE_LABELS, "lite/objects.txt"},
	              {PROTO_FILE_FACE, "lite/face_full.tflite"},
	              {PROTO_FILE_FACE, "lite/face_short.tflite"}};
	char path[FILES_PATH];
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		if (files_find(&scry->places, models[i].name, path))
			add_file(setup, models[i].kind, models[i].name + strlen("lite/"), path);
	}
	files_languages(add_language, setup);
}

/* The files of a backend in scry-llama, by the names that people know them by. */
static void
add_pair(const struct scry *scry, enum backend_id id, struct engine_setup *setup)
{
	char path[FILES_PATH];
	for (int mmproj = 0; mmproj < 2; mmproj++) {
		if (!context_model(scry, id, mmproj != 0, path))
			continue;
		const char *slash = strrchr(path, '/');
		add_file(setup, mmproj ? PROTO_FILE_MMPROJ : PROTO_FILE_MODEL, slash != NULL ? slash + 1 : path, path);
	}
}

/* Memory is short: models that have nothing to do are given back, whatever their time. */
static void
on_tight(void *user)
{
	struct scry *scry = user;
	for (int i = 0; i < BACKEND_COUNT; i++) {
		if (scry->engines[i] != NULL && backend_get((enum backend_id)i)->idle_s != 0 &&
		    jobs_unload(engine_jobs(scry->engines[i])))
			log_line(&scry->log, LOG_INFO, "memory is short: the idle model of %s is unloaded",
			         backend_get((enum backend_id)i)->name);
	}
}

static struct engine_setup *
make_setup(struct scry *scry, enum backend_id id, struct eye *eye)
{
	const struct backend *backend = backend_get(id);
	struct engine_setup *setup = calloc(1, sizeof(*setup));
	if (setup == NULL)
		return NULL;
	launch_program(&scry->launch, backend->program, scry->engine_paths[id]);
	setup->spec = (struct worker_spec){.name = backend->program,
	                                   .path = scry->engine_paths[id],
	                                   .env = backend->model_env != NULL ? scry->llama_env : scry->engine_env,
	                                   .role = PROTO_ROLE_ENGINE,
	                                   .threads = scry->threads,
	                                   .hello_ms = scry->hello_ms,
	                                   .ready_ms = scry->ready_ms};
	if (backend->private_runtime && scry->launch.loader[0] != '\0') {
		setup->spec.loader = scry->launch.loader;
		setup->spec.library_path = scry->launch.library;
	}
	setup->ring_number = EYE_RING;
	setup->ring = eye_slots(eye);
	if (id == BACKEND_LITE)
		add_lite_files(scry, setup);
	if (backend->model_env != NULL)
		add_pair(scry, id, setup);
	return setup;
}

int
context_engine(struct scry *scry, enum backend_id id, struct engine **out, struct why *why)
{
	struct eye *eye;
	if (scry->engines[id] != NULL) {
		*out = scry->engines[id];
		return 0;
	}
	int error = context_eye(scry, &eye, why);
	if (error < 0)
		return error;
	struct engine_setup *setup = make_setup(scry, id, eye);
	error = setup == NULL ? SCRY_E_MEMORY : engine_create(&scry->loop, &scry->log, setup, &scry->engines[id]);
	free(setup);
	if (error < 0)
		return why_set(why, error, "out of memory");
	if (scry->pressure == NULL && backend_get(id)->idle_s != 0)
		scry->pressure = pressure_watch(&scry->loop, on_tight, scry);
	*out = scry->engines[id];
	return 0;
}

/* child_llama_load.c - loads a language model and its vision tower; see child_llama.h. Runs in the worker.
 *
 * The files are opened by the library under /proc/self/fd/N: by then the sandbox lets it open these and no others.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "engine/child_llama.h"
#include "scry.h"
#include "wire/child.h"

#define PATH_ROOM 512
#define ONE_THREAD_PARAMETERS 30000000u /* below that threads wait for each other longer than they compute */

/* The first error says what is wrong and the later ones what failed because of it; it is kept for the sentence of the
 * request. The rest of the libraries' talk goes nowhere. */
static void
keep_log(enum ggml_log_level level, const char *text, void *user)
{
	struct lm_engine *engine = user;
	char line[PROTO_SENTENCE];
	if (level != GGML_LOG_LEVEL_ERROR || engine->error[0] != '\0')
		return;
	str_copy(line, sizeof(line), text);
	line[strcspn(line, "\n")] = '\0';
	str_printable(line);
	if (line[0] != '\0')
		memcpy(engine->error, line, sizeof(line));
}

void
lm_prepare(void)
{
	Dl_info info;
	char folder[PATH_ROOM];
	struct lm_engine quiet = {0};
	ggml_log_set(keep_log, &quiet);
	llama_log_set(keep_log, &quiet);
	/* Debian puts the variants of the CPU backend, and GPU backends, into ggml/backends0 beside libggml. */
	if (dladdr((void *)ggml_backend_load_all_from_path, &info) != 0 && info.dli_fname != NULL &&
	    str_copy(folder, sizeof(folder) - sizeof("/ggml/backends0"), info.dli_fname)) {
		char *slash = strrchr(folder, '/');
		strcpy(slash != NULL ? slash : folder, "/ggml/backends0");
		if (access(folder, R_OK) == 0)
			ggml_backend_load_all_from_path(folder);
	}
	if (ggml_backend_dev_count() == 0)
		ggml_backend_load_all();
	llama_backend_init();
	llama_log_set(NULL, NULL);
}

static const struct child_file *
find_file(const struct child_setup *setup, enum proto_file_kind kind)
{
	for (unsigned i = 0; i < setup->file_count; i++) {
		if (setup->files[i].kind == kind)
			return &setup->files[i];
	}
	return NULL;
}

static int
fail(char *sentence, const char *format, const char *name, const char *reason)
{
	char text[PROTO_SENTENCE * 2];
	snprintf(text, sizeof(text), format, name, reason[0] != '\0' ? ": " : "", reason);
	str_copy(sentence, PROTO_SENTENCE, text);
	return SCRY_E_MODEL;
}

/* What a GGUF file begins with; the library's own sentence for anything else speaks of magic characters. */
static bool
is_gguf(const struct child_file *file)
{
	char magic[4];
	return pread(file->fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) && memcmp(magic, "GGUF", 4) == 0;
}

static int
load_model(struct lm_engine *engine, const struct child_file *file, char *sentence)
{
	char path[64];
	struct llama_model_params params = llama_model_default_params();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	engine->error[0] = '\0';
	engine->model = llama_model_load_from_file(path, params);
	if (engine->model == NULL)
		return fail(sentence, "%s cannot be loaded as a language model%s%s", file->name, engine->error);
	engine->vocab = llama_model_get_vocab(engine->model);
	/* Measured on two cores: 1 M parameters 55 ms on one thread and 200 ms on two; 750 M the other way round. */
	if (llama_model_n_params(engine->model) < ONE_THREAD_PARAMETERS)
		engine->threads = 1;
	engine->chat_template = llama_model_chat_template(engine->model, NULL);
	engine->recurrent = llama_model_is_recurrent(engine->model) || llama_model_is_hybrid(engine->model);
	return 0;
}

/* Between the layers of the encoder the socket is looked at: asked for every 24th node, about one a layer. */
static bool
on_node(struct ggml_tensor *node, bool ask, void *user)
{
	struct lm_engine *engine = user;
	(void)node;
	if (ask)
		return ++engine->nodes % 24 == 0;
	return !lm_cancelled(engine);
}

static int
load_mmproj(struct lm_engine *engine, const struct child_file *file, char *sentence)
{
	char path[64];
	struct mtmd_context_params params = mtmd_context_params_default();
	params.n_threads = (int)engine->threads;
	params.print_timings = false;
	params.cb_eval = on_node;
	params.cb_eval_user_data = engine;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	engine->error[0] = '\0';
	engine->mtmd = mtmd_init_from_file(path, engine->model, params);
	if (engine->mtmd == NULL)
		return fail(sentence, "%s does not go with this model%s%s", file->name, engine->error);
	if (!mtmd_support_vision(engine->mtmd))
		return fail(sentence, "%s has no vision tower%s%s", file->name, "");
	return 0;
}

int
lm_load(struct lm_engine *engine, const struct child_setup *setup, struct proto_ready *ready, char *sentence)
{
	const struct child_file *model = find_file(setup, PROTO_FILE_MODEL), *mmproj = find_file(setup, PROTO_FILE_MMPROJ);
	if (model == NULL || mmproj == NULL)
		return fail(sentence, "%s is missing%s%s", model == NULL ? "the model file" : "the mmproj file", "");
	llama_log_set(keep_log, engine);
	mtmd_helper_log_set(keep_log, engine);
	engine->threads = setup->threads;
	lm_cache_init(&engine->cache, LM_CACHE_BYTES);
	const struct child_file *files[] = {model, mmproj};
	for (int i = 0; i < 2; i++) {
		if (!is_gguf(files[i]))
			return fail(sentence, "%s is not a GGUF file%s%s", files[i]->name, "");
	}
	int error = load_model(engine, model, sentence);
	if (error == 0)
		error = load_mmproj(engine, mmproj, sentence);
	if (error < 0)
		return error;
	ready->parts = PROTO_PART_WORDS;
	str_copy(ready->model, sizeof(ready->model), model->name);
	return 0;
}

/* Between the nodes of the language model's graph. */
static bool
on_abort(void *user)
{
	return lm_cancelled(user);
}

static struct llama_context *
make_context(struct lm_engine *engine, size_t tokens)
{
	struct llama_context_params params = llama_context_default_params();
	params.n_ctx = (uint32_t)tokens;
	params.n_batch = params.n_ubatch = LM_BATCH;
	params.n_seq_max = 1;
	params.n_outputs_max = LM_OUTPUTS;
	params.n_threads = params.n_threads_batch = (int)engine->threads;
	params.abort_callback = on_abort;
	params.abort_callback_data = engine;
	params.no_perf = true;
	return llama_init_from_model(engine->model, params);
}

int
lm_fit(struct lm_engine *engine, size_t tokens)
{
	size_t limit = (size_t)llama_model_n_ctx_train(engine->model);
	size_t wanted = (tokens + LM_CONTEXT_STEP - 1) / LM_CONTEXT_STEP * LM_CONTEXT_STEP;
	if (engine->context != NULL && llama_n_ctx(engine->context) >= tokens)
		return 0;
	if (tokens > limit) {
		snprintf(engine->sentence, PROTO_SENTENCE,
		         "picture, prompt and answer need %zu tokens, and this model was made for %zu; ask for fewer tokens",
		         tokens, limit);
		return SCRY_E_LIMIT;
	}
	lm_forget(engine);
	llama_free(engine->context);
	engine->context = make_context(engine, wanted);
	if (engine->context == NULL) {
		engine->memory = NULL;
		return lm_fail(engine, "the model's context cannot be made");
	}
	engine->memory = llama_get_memory(engine->context);
	/* States of another context may differ in layout. */
	lm_cache_clear(&engine->cache);
	engine->head_count = 0;
	return 0;
}

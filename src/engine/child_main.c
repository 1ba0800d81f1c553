/* child_main.c - the loop of every engine program: files and rings in, then one question after another.
 *
 * Runs in the worker. Owns the mapped files and rings for the life of the process; the engine (child_engine) owns its
 * model. Frames are read where the eye wrote them; a slot's head is checked by slots_head() before it is used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "engine/child_engine.h"
#include "scry.h"
#include "wire/child.h"
#include "wire/slots.h"

#define PROMPT_MAX ((size_t)1 << 20)

struct loop {
	struct child_setup setup;
	struct slots *rings[PROTO_RINGS];
	bool loaded;
};

/* Maps a file or memfd read-only; takes the descriptor. NULL when it cannot be. */
static const void *
map_file(int fd, uint64_t size)
{
	struct stat st;
	void *map = MAP_FAILED;
	if (size > 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size >= size)
		map = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static void
take_file(struct loop *loop, struct msg *msg)
{
	const struct proto_file *body = &msg->body.file;
	int fd = msg_take_fd(msg);
	const void *data = child_engine.opens_files ? NULL : map_file(fd, body->size);
	if ((data == NULL && !child_engine.opens_files) || loop->setup.file_count == CHILD_FILES) {
		child_log(SCRY_LOG_WARN, "%s cannot be mapped; going on without it", body->name);
		return;
	}
	struct child_file *file = &loop->setup.files[loop->setup.file_count++];
	file->kind = body->kind;
	file->data = data;
	file->size = (size_t)body->size;
	file->fd = child_engine.opens_files ? fd : -1;
	memcpy(file->name, body->name, sizeof(file->name));
}

static void
take_ring(struct loop *loop, struct msg *msg)
{
	const struct proto_ring *body = &msg->body.ring;
	struct slots *ring;
	int fd = msg_take_fd(msg);
	if (body->ring >= PROTO_RINGS) {
		close(fd);
		return;
	}
	int error = slots_attach(fd, body->slots, body->slot_bytes, false, &ring);
	if (error < 0) {
		child_log(SCRY_LOG_ERROR, "ring %u cannot be mapped: %s", body->ring, strerror(-error));
		return;
	}
	slots_destroy(loop->rings[body->ring]);
	loop->rings[body->ring] = ring;
}

/* An engine that opens files itself is let at these and no others. */
static uint32_t
confine(const struct child_setup *setup)
{
	int fds[CHILD_FILES];
	for (unsigned i = 0; i < setup->file_count; i++)
		fds[i] = setup->files[i].fd;
	return child_confine(fds, setup->file_count);
}

static void
start(struct loop *loop, const struct proto_start *body)
{
	struct proto_ready ready = {0};
	char sentence[PROTO_SENTENCE] = "";
	if (child_engine.opens_files)
		ready.sandbox = confine(&loop->setup);
	loop->setup.threads = body->threads > 0 ? body->threads : 1;
	int error = child_engine.load(&loop->setup, &ready, sentence);
	if (error < 0) {
		child_failed(0, error, "%s", sentence);
		return;
	}
	loop->loaded = true;
	child_send(PROTO_READY, 0, &ready, sizeof(ready), -1);
}

/* Prompt and extra as two strings in one piece of memory: the memfd is read once, and what arrived is used. "" each
 * without a memfd. NULL when it does not hold what the message says. */
static char *
read_prompt(struct msg *msg, const char **extra)
{
	size_t first = msg->body.describe.prompt_bytes, second = msg->body.describe.extra_bytes, size = first + second;
	int fd = msg_take_fd(msg);
	char *prompt = size > PROMPT_MAX || (fd < 0 && size > 0) ? NULL : calloc(1, size + 2);
	ssize_t n = prompt == NULL || fd < 0 ? 0 : pread(fd, prompt, size, 0);
	if (fd >= 0)
		close(fd);
	if (prompt == NULL || n != (ssize_t)size || !str_utf8_valid(prompt, first) ||
	    !str_utf8_valid(prompt + first, second)) {
		free(prompt);
		return NULL;
	}
	memmove(prompt + first + 1, prompt + first, second);
	prompt[first] = '\0';
	*extra = prompt + first + 1;
	return prompt;
}

static int
look_up_frame(const struct loop *loop, const struct proto_describe *body, struct child_frame *frame)
{
	struct slot_head head;
	const struct slots *ring = body->ring < PROTO_RINGS ? loop->rings[body->ring] : NULL;
	if (ring == NULL || slots_head(ring, body->slot, body->generation, &head) < 0)
		return -EPROTO;
	*frame = (struct child_frame){.rgb = slots_frame(ring, body->slot),
	                              .width = head.width,
	                              .height = head.height,
	                              .stride = head.stride,
	                              .hash = head.hash};
	return 0;
}

static void
describe(struct loop *loop, struct msg *msg)
{
	const struct proto_describe *body = &msg->body.describe;
	uint32_t request = msg->head.request;
	struct proto_done done = {.finish = PROTO_FINISH_STOP};
	char sentence[PROTO_SENTENCE] = "";
	struct child_frame frame;
	const char *extra = "";
	char *prompt = read_prompt(msg, &extra);
	if (!loop->loaded || prompt == NULL) {
		child_failed(request, SCRY_E_ARGUMENT, "%s",
		             loop->loaded ? "the prompt is not valid UTF-8" : "nothing is loaded");
	} else if (look_up_frame(loop, body, &frame) < 0) {
		child_failed(request, SCRY_E_WORKER, "the frame is gone from its slot");
	} else {
		struct child_question question = {.request = request,
		                                  .flags = body->flags,
		                                  .max_tokens = body->max_tokens,
		                                  .prompt = prompt,
		                                  .task = (enum proto_task)body->task,
		                                  .extra = extra,
		                                  .seed = body->seed,
		                                  .temperature = body->temperature,
		                                  .language = body->language[0] != '\0' ? body->language : "eng"};
		child_deadline(body->deadline_ms);
		int error = child_engine.describe(&frame, &question, &done, sentence);
		child_deadline(0);
		if (error < 0)
			child_failed(request, error, "%s", sentence);
		else
			child_send(PROTO_DONE, request, &done, sizeof(done), -1);
	}
	free(prompt);
}

void
child_item(uint32_t request, enum proto_item_kind kind, float score, const char *text, const float box[4])
{
	struct proto_item item = {.kind = kind, .score = score};
	if (box != NULL) {
		item.x = box[0];
		item.y = box[1];
		item.width = box[2];
		item.height = box[3];
	}
	if (text != NULL)
		str_copy(item.text, sizeof(item.text), text);
	child_send(PROTO_ITEM, request, &item, sizeof(item), -1);
}

int
main(void)
{
	static struct loop loop;
	struct msg msg;
	if (child_engine.prepare != NULL)
		child_engine.prepare();
	child_hello(child_engine.program, PROTO_ROLE_ENGINE,
	            child_engine.opens_files ? CHILD_SANDBOX_LOADER : CHILD_SANDBOX_ENGINE);
	for (;;) {
		child_receive(&msg);
		switch (msg.head.type) {
		case PROTO_FILE:
			take_file(&loop, &msg);
			break;
		case PROTO_RING:
			take_ring(&loop, &msg);
			break;
		case PROTO_START:
			start(&loop, &msg.body.start);
			break;
		case PROTO_DESCRIBE:
			describe(&loop, &msg);
			break;
		default:
			child_log(SCRY_LOG_WARN, "an engine has no use for %s", msg_type_name(msg.head.type));
			msg_close(&msg);
		}
	}
}

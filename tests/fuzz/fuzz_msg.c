/* fuzz_msg.c - msg_decode on any bytes: what it lets through is well-formed. First byte: whether a descriptor came. */
#include <stdlib.h>
#include <string.h>

#include "wire/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int condition)
{
	if (!condition)
		abort();
}

/* Every text field ends within its room. */
static void
check_texts(const struct msg *msg)
{
	switch (msg->head.type) {
	case PROTO_FILE:
		must(strlen(msg->body.file.name) < PROTO_NAME);
		break;
	case PROTO_DESCRIBE:
		must(strlen(msg->body.describe.language) < PROTO_NAME);
		break;
	case PROTO_HELLO:
		must(strlen(msg->body.hello.program) < PROTO_NAME && strlen(msg->body.hello.version) < PROTO_NAME);
		break;
	case PROTO_READY:
		must(strlen(msg->body.ready.model) < PROTO_TEXT);
		break;
	case PROTO_FAILED:
		must(strlen(msg->body.failed.sentence) < PROTO_SENTENCE);
		break;
	case PROTO_FRAME:
		must(strlen(msg->body.frame.format) < PROTO_NAME);
		break;
	case PROTO_ITEM:
		must(strlen(msg->body.item.text) < PROTO_TEXT);
		break;
	case PROTO_LOG:
		must(strlen(msg->body.log.text) < PROTO_SENTENCE);
		break;
	default:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg msg;
	if (size == 0)
		return 0;
	int fd = data[0] % 2 == 0 ? -1 : 1000;
	int error = msg_decode(data + 1, size - 1, fd, &msg);
	if (error != 0)
		return 0;
	must(msg.head.magic == PROTO_MAGIC && msg.head.version == PROTO_VERSION);
	must(msg_body_size(msg.head.type) == (int)msg.head.size && size - 1 == sizeof(msg.head) + msg.head.size);
	must(msg.fd == fd && memcmp(&msg.body, data + 1 + sizeof(msg.head), msg.head.size) == 0);
	check_texts(&msg);
	return 0;
}

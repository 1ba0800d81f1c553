/* test_msg.c - every message type in every wrong shape, and descriptors on a real socket. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/msg.h"

enum fds { NONE, ONE, EITHER };

/* Written down a second time on purpose: a change of the wire must be made in two places. */
static const struct shape {
	const char *name;
	enum proto_type type;
	size_t size;
	enum fds fds;
	size_t text[2], room[2];
} shapes[] = {
	{"FILE", PROTO_FILE, 80, ONE, {16}, {64}},
	{"RING", PROTO_RING, 16, ONE, {0}, {0}},
	{"START", PROTO_START, 8, NONE, {0}, {0}},
	{"DECODE", PROTO_DECODE, 32, ONE, {0}, {0}},
	{"ENCODE", PROTO_ENCODE, 24, NONE, {0}, {0}},
	{"DESCRIBE", PROTO_DESCRIBE, 112, EITHER, {48}, {64}},
	{"CANCEL", PROTO_CANCEL, 0, NONE, {0}, {0}},
	{"PING", PROTO_PING, 0, NONE, {0}, {0}},
	{"PROBE", PROTO_PROBE, 0, NONE, {0}, {0}},
	{"STOP", PROTO_STOP, 0, NONE, {0}, {0}},
	{"HELLO", PROTO_HELLO, 144, NONE, {16, 80}, {64, 64}},
	{"READY", PROTO_READY, 136, NONE, {8}, {128}},
	{"FAILED", PROTO_FAILED, 520, NONE, {8}, {512}},
	{"FRAME", PROTO_FRAME, 96, NONE, {32}, {64}},
	{"ENCODED", PROTO_ENCODED, 16, ONE, {0}, {0}},
	{"PIECE", PROTO_PIECE_OF_TEXT, 1032, NONE, {0}, {0}},
	{"ITEM", PROTO_ITEM, 152, NONE, {24}, {128}},
	{"DONE", PROTO_DONE, 32, NONE, {0}, {0}},
	{"PONG", PROTO_PONG, 0, NONE, {0}, {0}},
	{"PROBED", PROTO_PROBED, 24, NONE, {0}, {0}},
	{"LOG", PROTO_LOG, 520, NONE, {8}, {512}},
};

/* A packet on the heap, exactly as large as it says, so that a sanitizer sees a read behind it. */
static unsigned char *
packet(const struct shape *shape, size_t size)
{
	unsigned char *bytes = calloc(1, size + 1);
	struct proto_head head = {.magic = PROTO_MAGIC,
	                          .version = PROTO_VERSION,
	                          .type = (uint16_t)shape->type,
	                          .size = (uint32_t)shape->size,
	                          .request = 7};
	memcpy(bytes, &head, size < sizeof(head) ? size : sizeof(head));
	return realloc(bytes, size > 0 ? size : 1);
}

static int
right_fd(const struct shape *shape)
{
	return shape->fds == ONE ? 99 : -1;
}

static void
test_sizes(void **state)
{
	(void)state;
	unsigned known = 0;
	for (unsigned type = 0; type < 70000; type++)
		known += msg_body_size(type) >= 0;
	assert_int_equal(known, COUNT(shapes));
	for (size_t i = 0; i < COUNT(shapes); i++) {
		assert_int_equal(msg_body_size(shapes[i].type), shapes[i].size);
		assert_string_equal(msg_type_name(shapes[i].type), shapes[i].name);
		assert_true(sizeof(struct proto_head) + shapes[i].size <= PROTO_MAX);
	}
	assert_string_equal(msg_type_name(0), "unknown");
	assert_string_equal(msg_type_name(65535), "unknown");
}

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t size = sizeof(struct proto_head) + shapes[i].size;
		unsigned char *bytes = packet(&shapes[i], size);
		struct msg msg;
		assert_int_equal(msg_decode(bytes, size, right_fd(&shapes[i]), &msg), 0);
		assert_int_equal(msg.head.type, shapes[i].type);
		assert_int_equal(msg.head.request, 7);
		assert_int_equal(msg.fd, right_fd(&shapes[i]));
		assert_memory_equal(&msg.body, bytes + sizeof(msg.head), shapes[i].size);
		free(bytes);
	}
}

/* Refused, and the caller's struct is as it was. */
static void
refuse(const unsigned char *bytes, size_t size, int fd)
{
	struct msg msg, before;
	memset(&msg, 0x5a, sizeof(msg));
	before = msg;
	assert_int_equal(msg_decode(bytes, size, fd, &msg), -EPROTO);
	assert_memory_equal(&msg, &before, sizeof(msg));
}

static void
test_wrong_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t right = sizeof(struct proto_head) + shapes[i].size;
		for (size_t size = 0; size < right + 20; size++) {
			if (size == right)
				continue;
			unsigned char *bytes = packet(&shapes[i], size);
			refuse(bytes, size, right_fd(&shapes[i]));
			free(bytes);
		}
	}
}

static void
test_wrong_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t size = sizeof(struct proto_head) + shapes[i].size;
		unsigned char *bytes = packet(&shapes[i], size);
		/* magic, version, type and size: any flipped bit but those that make another type of the same shape */
		for (size_t bit = 0; bit < 12 * 8; bit++) {
			bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
			struct proto_head head;
			memcpy(&head, bytes, sizeof(head));
			if (bit / 8 < 6 || bit / 8 >= 8 || msg_body_size(head.type) < 0)
				refuse(bytes, size, right_fd(&shapes[i]));
			bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		}
		struct proto_head huge = {PROTO_MAGIC, PROTO_VERSION, (uint16_t)shapes[i].type, UINT32_MAX - 15, 7};
		memcpy(bytes, &huge, sizeof(huge));
		refuse(bytes, size, right_fd(&shapes[i]));
		free(bytes);
	}
}

static void
test_descriptor_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t size = sizeof(struct proto_head) + shapes[i].size;
		unsigned char *bytes = packet(&shapes[i], size);
		struct msg msg;
		if (shapes[i].fds == EITHER)
			assert_int_equal(msg_decode(bytes, size, 99, &msg), 0);
		else
			refuse(bytes, size, shapes[i].fds == ONE ? -1 : 99);
		free(bytes);
	}
}

static void
test_text_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t size = sizeof(struct proto_head) + shapes[i].size;
		for (size_t t = 0; t < 2 && shapes[i].room[t] > 0; t++) {
			unsigned char *bytes = packet(&shapes[i], size);
			unsigned char *text = bytes + sizeof(struct proto_head) + shapes[i].text[t];
			struct msg msg;
			memset(text, 'x', shapes[i].room[t]);
			refuse(bytes, size, right_fd(&shapes[i]));
			text[shapes[i].room[t] - 1] = '\0';
			assert_int_equal(msg_decode(bytes, size, right_fd(&shapes[i]), &msg), 0);
			free(bytes);
		}
	}
}

/* --- on a socket ------------------------------------------------------------------------------------------- */

struct pair {
	int a, b;
};

static struct pair
make_pair(void)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	return (struct pair){fds[0], fds[1]};
}

/* Sends bytes with any number of copies of standard error. */
static void
send_raw(int socket, const void *bytes, size_t size, unsigned fds)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	if (fds > 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof(int));
		for (unsigned i = 0; i < fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
	}
	assert_int_equal(sendmsg(socket, &header, 0), size);
}

static void
test_round_trip(void **state)
{
	(void)state;
	int before = unit_descriptors();
	struct pair pair = make_pair();
	for (size_t i = 0; i < COUNT(shapes); i++) {
		unsigned char body[PROTO_MAX];
		struct msg msg;
		memset(body, 0, sizeof(body));
		for (size_t at = 0; at < shapes[i].size; at++)
			body[at] = (unsigned char)(at % 2 == 0 ? 'a' : 0);
		int fd = shapes[i].fds == NONE ? -1 : STDERR_FILENO;
		assert_int_equal(msg_send(pair.a, shapes[i].type, 77, body, (uint32_t)shapes[i].size, fd), 0);
		assert_int_equal(msg_recv(pair.b, &msg), 0);
		assert_int_equal(msg.head.request, 77);
		assert_memory_equal(&msg.body, body, shapes[i].size);
		assert_int_equal(msg.fd >= 0, fd >= 0);
		if (msg.fd >= 0)
			assert_int_equal(fcntl(msg.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		msg_close(&msg);
		assert_int_equal(msg.fd, -1);
		msg_close(&msg);
	}
	close(pair.a);
	close(pair.b);
	assert_int_equal(unit_descriptors(), before);
}

static void
test_take_fd(void **state)
{
	(void)state;
	struct pair pair = make_pair();
	struct proto_ring body = {.slots = 4};
	struct msg msg;
	assert_int_equal(msg_send(pair.a, PROTO_RING, 0, &body, sizeof(body), STDERR_FILENO), 0);
	assert_int_equal(msg_recv(pair.b, &msg), 0);
	int fd = msg_take_fd(&msg);
	assert_true(fd >= 0);
	assert_int_equal(msg_take_fd(&msg), -1);
	msg_close(&msg);
	assert_int_not_equal(fcntl(fd, F_GETFD), -1);
	close(fd);
	close(pair.a);
	close(pair.b);
}

/* No descriptor that comes with nonsense stays open: one too many, three (more than there is room for), on a type that
 * takes none, on bytes that are no message. */
static void
test_smuggled_descriptors(void **state)
{
	(void)state;
	struct pair pair = make_pair();
	int before = unit_descriptors();
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t size = sizeof(struct proto_head) + shapes[i].size;
		unsigned char *bytes = packet(&shapes[i], size);
		for (unsigned fds = 0; fds <= 8; fds++) {
			struct msg msg;
			bool good = shapes[i].fds == EITHER ? fds <= 1 : fds == (shapes[i].fds == ONE);
			send_raw(pair.a, bytes, size, fds);
			assert_int_equal(msg_recv(pair.b, &msg), good ? 0 : -EPROTO);
			if (good)
				msg_close(&msg);
			send_raw(pair.a, bytes, size - 1, fds);
			assert_int_equal(msg_recv(pair.b, &msg), -EPROTO);
			assert_int_equal(unit_descriptors(), before);
		}
		free(bytes);
	}
	close(pair.a);
	close(pair.b);
}

static void
test_too_long(void **state)
{
	(void)state;
	struct pair pair = make_pair();
	unsigned char bytes[PROTO_MAX + 1];
	struct proto_head head = {PROTO_MAGIC, PROTO_VERSION, PROTO_LOG, sizeof(struct proto_log), 0};
	struct msg msg;
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &head, sizeof(head));
	send_raw(pair.a, bytes, sizeof(bytes), 0);
	assert_int_equal(msg_recv(pair.b, &msg), -EPROTO);
	close(pair.a);
	close(pair.b);
}

static void
test_ends(void **state)
{
	(void)state;
	struct pair pair = make_pair();
	struct msg msg;
	assert_int_equal(msg_recv(pair.b, &msg), -EAGAIN);
	int sent = 0;
	while (msg_send(pair.a, PROTO_PING, 0, NULL, 0, -1) == 0)
		sent++;
	assert_true(sent > 100);
	assert_int_equal(msg_send(pair.a, PROTO_PING, 0, NULL, 0, -1), -EAGAIN);
	close(pair.a);
	for (int i = 0; i < sent; i++)
		assert_int_equal(msg_recv(pair.b, &msg), 0);
	assert_int_equal(msg_recv(pair.b, &msg), -EPIPE);
	assert_int_equal(msg_send(pair.b, PROTO_PONG, 0, NULL, 0, -1), -EPIPE);
	close(pair.b);
	assert_int_equal(msg_recv(pair.b, &msg), -EBADF);
	assert_int_equal(msg_send(pair.b, PROTO_PONG, 0, NULL, 0, -1), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong_sizes),
		cmocka_unit_test(test_wrong_heads),
		cmocka_unit_test(test_descriptor_counts),
		cmocka_unit_test(test_text_ends),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_take_fd),
		cmocka_unit_test(test_smuggled_descriptors),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_ends),
	};
	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}

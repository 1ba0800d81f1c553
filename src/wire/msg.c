/* msg.c - moves messages over a socket and decodes them strictly; see msg.h. Runs in the core and in workers. */
#include "wire/msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What each type carries: its body, its descriptors, and where its text fields stand. */
struct kind {
	const char *name;
	uint16_t type;
	uint16_t size;
	uint8_t fds_min, fds_max;
	struct {
		uint16_t at, room;
	} text[2];
};

#define BODY(field) sizeof(((struct msg *)0)->body.field)
#define TEXT(type, field)                                                                                              \
	{                                                                                                                  \
		offsetof(struct type, field), sizeof(((struct type *)0)->field)                                                \
	}

static const struct kind kinds[] = {
	{"FILE", PROTO_FILE, BODY(file), 1, 1, {TEXT(proto_file, name)}},
	{"RING", PROTO_RING, BODY(ring), 1, 1, {{0, 0}}},
	{"START", PROTO_START, BODY(start), 0, 0, {{0, 0}}},
	{"DECODE", PROTO_DECODE, BODY(decode), 1, 1, {{0, 0}}},
	{"ENCODE", PROTO_ENCODE, BODY(encode), 0, 0, {{0, 0}}},
	{"DESCRIBE", PROTO_DESCRIBE, BODY(describe), 0, 1, {TEXT(proto_describe, language)}},
	{"CANCEL", PROTO_CANCEL, 0, 0, 0, {{0, 0}}},
	{"PING", PROTO_PING, 0, 0, 0, {{0, 0}}},
	{"PROBE", PROTO_PROBE, 0, 0, 0, {{0, 0}}},
	{"STOP", PROTO_STOP, 0, 0, 0, {{0, 0}}},
	{"HELLO", PROTO_HELLO, BODY(hello), 0, 0, {TEXT(proto_hello, program), TEXT(proto_hello, version)}},
	{"READY", PROTO_READY, BODY(ready), 0, 0, {TEXT(proto_ready, model)}},
	{"FAILED", PROTO_FAILED, BODY(failed), 0, 0, {TEXT(proto_failed, sentence)}},
	{"FRAME", PROTO_FRAME, BODY(frame), 0, 0, {TEXT(proto_frame, format)}},
	{"ENCODED", PROTO_ENCODED, BODY(encoded), 1, 1, {{0, 0}}},
	{"PIECE", PROTO_PIECE_OF_TEXT, BODY(piece), 0, 0, {{0, 0}}},
	{"ITEM", PROTO_ITEM, BODY(item), 0, 0, {TEXT(proto_item, text)}},
	{"DONE", PROTO_DONE, BODY(done), 0, 0, {{0, 0}}},
	{"PONG", PROTO_PONG, 0, 0, 0, {{0, 0}}},
	{"PROBED", PROTO_PROBED, BODY(probed), 0, 0, {{0, 0}}},
	{"LOG", PROTO_LOG, BODY(log), 0, 0, {TEXT(proto_log, text)}},
};

static const struct kind *
kind_of(unsigned type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return NULL;
}

int
msg_body_size(unsigned type)
{
	const struct kind *kind = kind_of(type);
	return kind == NULL ? -1 : kind->size;
}

const char *
msg_type_name(unsigned type)
{
	const struct kind *kind = kind_of(type);
	return kind == NULL ? "unknown" : kind->name;
}

int
msg_decode(const void *bytes, size_t size, int fd, struct msg *out)
{
	struct proto_head head;
	if (size < sizeof(head))
		return -EPROTO;
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != PROTO_MAGIC || head.version != PROTO_VERSION)
		return -EPROTO;
	const struct kind *kind = kind_of(head.type);
	if (kind == NULL || head.size != kind->size || size != sizeof(head) + head.size)
		return -EPROTO;
	unsigned fds = fd >= 0;
	if (fds < kind->fds_min || fds > kind->fds_max)
		return -EPROTO;
	const char *body = (const char *)bytes + sizeof(head);
	for (size_t i = 0; i < 2; i++) {
		size_t room = kind->text[i].room;
		if (room > 0 && memchr(body + kind->text[i].at, '\0', room) == NULL)
			return -EPROTO;
	}
	out->head = head;
	memcpy(&out->body, body, head.size);
	out->fd = fd;
	return 0;
}

/* Takes the descriptors out of a control message; keeps the first, closes any more. */
static int
take_fds(struct msghdr *header, unsigned *count)
{
	int first = -1;
	*count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (first < 0)
				first = fd;
			else
				close(fd);
			(*count)++;
		}
	}
	return first;
}

int
msg_recv(int socket, struct msg *out)
{
	_Alignas(struct proto_head) unsigned char bytes[PROTO_MAX];
	union {
		char bytes[CMSG_SPACE(sizeof(int) * (PROTO_FDS + 1))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	do
		n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
	unsigned fds;
	int fd = take_fds(&header, &fds);
	int error = n == 0 && fds == 0 ? -EPIPE : 0;
	if (error == 0 && ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || fds > PROTO_FDS))
		error = -EPROTO;
	if (error == 0)
		error = msg_decode(bytes, (size_t)n, fd, out);
	if (error != 0 && fd >= 0)
		close(fd);
	return error;
}

int
msg_send(int socket, enum proto_type type, uint32_t request, const void *body, uint32_t size, int fd)
{
	struct proto_head head = {
		.magic = PROTO_MAGIC, .version = PROTO_VERSION, .type = (uint16_t)type, .size = size, .request = request};
	struct iovec parts[2] = {{.iov_base = &head, .iov_len = sizeof(head)}, {.iov_base = (void *)body, .iov_len = size}};
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
	assert(msg_body_size(type) == (int)size);
	if (fd >= 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(socket, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == EWOULDBLOCK ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
}

int
msg_take_fd(struct msg *msg)
{
	int fd = msg->fd;
	msg->fd = -1;
	return fd;
}

void
msg_close(struct msg *msg)
{
	if (msg->fd >= 0)
		close(msg->fd);
	msg->fd = -1;
}

/* msg.h - one message in memory, and the two functions that move it over a socket.
 *
 * msg_recv() is the only place that turns bytes of the other side into a struct: it checks magic, version, type,
 * the exact size of that type's body, the number of descriptors the type carries, and that every text field is
 * terminated. What it lets through is well-formed; whether it makes sense now is the handler's question.
 */
#ifndef WIRE_MSG_H
#define WIRE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/proto.h"

/* A decoded message. `fd` is owned by whoever holds the struct until msg_take_fd() or msg_close(). */
struct msg {
	struct proto_head head;
	union {
		struct proto_file file;
		struct proto_ring ring;
		struct proto_start start;
		struct proto_decode decode;
		struct proto_encode encode;
		struct proto_describe describe;
		struct proto_hello hello;
		struct proto_ready ready;
		struct proto_failed failed;
		struct proto_frame frame;
		struct proto_encoded encoded;
		struct proto_piece piece;
		struct proto_item item;
		struct proto_done done;
		struct proto_probed probed;
		struct proto_log log;
		unsigned char bytes[PROTO_MAX - sizeof(struct proto_head)];
	} body;
	int fd; /* -1: none */
};

/* Receives one message without waiting longer than the socket does.
 * 0; -EAGAIN nothing there; -EPIPE the other side is gone; -EPROTO it spoke nonsense (drop it); else -errno. */
int msg_recv(int socket, struct msg *out);

/* Checks `size` received bytes (head and body) and descriptor presence as msg_recv() does; the part that fuzzing
 * reaches. 0 or -EPROTO. */
int msg_decode(const void *bytes, size_t size, int fd, struct msg *out);

/* Sends one message; `fd` < 0 for none (it is not closed). 0; -EAGAIN the socket is full; -EPIPE; else -errno. */
int msg_send(int socket, enum proto_type type, uint32_t request, const void *body, uint32_t size, int fd);

/* The exact size of a type's body, or -1 for an unknown type. */
int msg_body_size(unsigned type);
const char *msg_type_name(unsigned type);

int msg_take_fd(struct msg *msg); /* the caller owns it from then on; -1 when there is none */
void msg_close(struct msg *msg);  /* closes the descriptor, if any */

#endif

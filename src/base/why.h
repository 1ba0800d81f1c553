/* why.h - the sentence for people beside an error code.
 *
 * Functions that can fail for reasons a person should read take a `struct why *` (never NULL) and leave one
 * sentence in it: what, which file, what to do. why_set() returns the code it was given, so that a failure is one
 * line at the place where it is known:  return why_set(why, SCRY_E_INPUT, "%s is empty", path);
 */
#ifndef BASE_WHY_H
#define BASE_WHY_H

#define WHY_BYTES 512

struct why {
	char text[WHY_BYTES];
};

/* Writes the sentence (cut between UTF-8 characters when too long; control characters become '?', for the text of
 * files and workers ends up in terminals) and returns `error`. */
int why_set(struct why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

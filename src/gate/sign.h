/* sign.h - a frame's luma signature: 64x36 numbers that say whether two frames look alike.
 *
 * A pure function of the pixels: no state, no allocation, no clock. Called by the eye beside each frame that it
 * writes (scry-eye, child_main.c); read by the gate in the core.
 */
#ifndef GATE_SIGN_H
#define GATE_SIGN_H

#include <stdint.h>

#include "wire/slots.h"

/* Averages the luma (BT.601 weights, 0..255) of RGB24 pixels over SIGN_WIDTH x SIGN_HEIGHT boxes that tile the frame,
 * row by row. `width`, `height` >= 1; `stride` >= 3 * width. A frame smaller than the signature repeats pixels. */
void gate_sign(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t stride, uint8_t out[SIGN_BYTES]);

#endif

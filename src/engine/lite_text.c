/* lite_text.c - tiles that look like writing. In the worker scry-lite and in unit tests.
 *
 * Reading a photo as a whole was measured to take one to eight seconds (a minute for city lights at night) and to
 * bring nothing but noise; its regions take a tenth of a second.
 */
#include "engine/lite_text.h"

#include <stdlib.h>
#include <string.h>

#include "scry.h"

#define TILE LITE_TILE
#define COARSE 4         /* how much smaller the second copy is */
#define REGION_TILES 3   /* least tiles of a region */
#define REGION_FILLED 40 /* per cent of a region's rectangle that are tiles with writing */
#define REGIONS_SHARE 12 /* per cent of the picture that all regions may take */

unsigned
lite_luma(const uint8_t *rgb)
{
	return (77u * rgb[0] + 150u * rgb[1] + 29u * rgb[2]) >> 8;
}

/* The part of a tile's pixels in the two lowest, or the two highest, of eight levels between its extremes: the
 * larger one. In writing that is the ground; grass and gravel have most of theirs in between. */
static unsigned
tile_ground(const uint8_t *luma, size_t stride, unsigned low, unsigned high)
{
	unsigned dark = 0, light = 0, quarter = (high - low) / 4;
	for (unsigned i = 0; i < TILE * TILE; i++) {
		unsigned value = luma[i / TILE * stride + i % TILE];
		dark += value <= low + quarter;
		light += value + quarter >= high;
	}
	return dark > light ? dark : light;
}

bool
lite_tile_has_text(const uint8_t *luma, size_t stride)
{
	unsigned low = 255, high = 0, crossings = 0, rows = 0;
	for (unsigned i = 0; i < TILE * TILE; i++) {
		unsigned value = luma[i / TILE * stride + i % TILE];
		low = value < low ? value : low;
		high = value > high ? value : high;
	}
	if (high - low < 40)
		return false;
	unsigned ground = tile_ground(luma, stride, low, high);
	if (ground < TILE * TILE * 45 / 100 || ground > TILE * TILE * 94 / 100)
		return false;
	unsigned middle = (low + high) / 2;
	for (unsigned y = 0; y < TILE; y++) {
		unsigned in_row = 0;
		for (unsigned x = 1; x < TILE; x++)
			in_row += (luma[y * stride + x] > middle) != (luma[y * stride + x - 1] > middle);
		crossings += in_row;
		rows += in_row > 0;
	}
	return rows >= 4 && crossings >= 14 && crossings * 10 >= rows * 22;
}

/* Which tiles of a picture have writing, row by row. A tile counts when the one on its left or right has some too. */
struct map {
	unsigned columns, lines;
	uint8_t *tile; /* malloc'd; 1: counts, 2: taken by a region */
};

static void
fill_line(const struct lite_image *image, unsigned line, uint8_t *luma, struct map *map)
{
	size_t stride = (size_t)map->columns * TILE;
	uint8_t *tiles = map->tile + (size_t)line * map->columns;
	bool before = false;
	for (unsigned y = 0; y < TILE; y++) {
		const uint8_t *row = image->rgb + ((size_t)line * TILE + y) * image->stride;
		for (size_t x = 0; x < stride; x++)
			luma[y * stride + x] = (uint8_t)lite_luma(row + 3 * x);
	}
	for (unsigned column = 0; column < map->columns; column++) {
		bool has = lite_tile_has_text(luma + (size_t)column * TILE, stride);
		tiles[column] = has && before;
		if (has && before)
			tiles[column - 1] = 1;
		before = has;
	}
}

/* 0 and a map to be freed, or SCRY_E_MEMORY. */
static int
make_map(const struct lite_image *image, struct map *map)
{
	map->columns = image->width / TILE;
	map->lines = image->height / TILE;
	map->tile = calloc((size_t)map->columns * map->lines + 1, 1);
	uint8_t *luma = malloc((size_t)map->columns * TILE * TILE + 1);
	if (map->tile == NULL || luma == NULL) {
		free(map->tile);
		free(luma);
		return SCRY_E_MEMORY;
	}
	for (unsigned line = 0; line < map->lines; line++)
		fill_line(image, line, luma, map);
	free(luma);
	return 0;
}

/* The map of a copy of the picture that is COARSE times smaller; empty when that would be too small. */
static int
make_coarse_map(const struct lite_image *image, struct map *map)
{
	unsigned width = image->width / COARSE, height = image->height / COARSE;
	struct lite_image none = {.rgb = image->rgb, .width = 0, .height = 0, .stride = 0};
	if (width < 2 * TILE || height < TILE)
		return make_map(&none, map);
	uint8_t *pixels = malloc((size_t)width * height * 3);
	struct lite_image copy = {.rgb = pixels, .width = width, .height = height, .stride = (size_t)width * 3};
	int error = pixels != NULL ? lite_resize(image, pixels, width, height) : SCRY_E_MEMORY;
	if (error == 0)
		error = make_map(&copy, map);
	free(pixels);
	return error;
}

static float
share_of(const struct map *map)
{
	size_t all = (size_t)map->columns * map->lines, count = 0;
	for (size_t i = 0; i < all; i++)
		count += map->tile[i] != 0;
	return all > 0 ? (float)count / (float)all : 0.f;
}

int
lite_text_share(const struct lite_image *image, float *out)
{
	struct map fine, coarse;
	int error = make_map(image, &fine);
	if (error < 0)
		return error;
	error = make_coarse_map(image, &coarse);
	if (error == 0) {
		float a = share_of(&fine), b = share_of(&coarse);
		*out = a > b ? a : b;
		free(coarse.tile);
	}
	free(fine.tile);
	return error;
}

/* --- regions ------------------------------------------------------------------------------------------------ */

struct extent {
	unsigned left, top, right, bottom, tiles; /* in tiles; right and bottom included */
};

/* Takes the group that `at` belongs to: tiles that touch, with corners. `stack` has room for every tile. */
static struct extent
take_group(struct map *map, unsigned at, unsigned *stack)
{
	struct extent extent = {.left = UINT32_MAX, .top = UINT32_MAX};
	size_t depth = 0;
	stack[depth++] = at;
	map->tile[at] = 2;
	while (depth > 0) {
		unsigned tile = stack[--depth], x = tile % map->columns, y = tile / map->columns;
		extent.left = x < extent.left ? x : extent.left;
		extent.right = x > extent.right ? x : extent.right;
		extent.top = y < extent.top ? y : extent.top;
		extent.bottom = y > extent.bottom ? y : extent.bottom;
		extent.tiles++;
		for (unsigned i = 0; i < 9; i++) {
			unsigned nx = x + i % 3 - 1, ny = y + i / 3 - 1; /* before 0 wraps to beyond the end */
			if (nx < map->columns && ny < map->lines && map->tile[ny * map->columns + nx] == 1) {
				map->tile[ny * map->columns + nx] = 2;
				stack[depth++] = ny * map->columns + nx;
			}
		}
	}
	return extent;
}

/* A group's rectangle in pixels, with a tile of margin on each side. */
static struct lite_rect
rect_of(const struct extent *extent, unsigned tile, const struct lite_image *image)
{
	struct lite_rect rect = {.x = extent->left > 0 ? (extent->left - 1) * tile : 0,
	                         .y = extent->top > 0 ? (extent->top - 1) * tile : 0};
	unsigned right = (extent->right + 2) * tile, bottom = (extent->bottom + 2) * tile;
	rect.width = (right < image->width ? right : image->width) - rect.x;
	rect.height = (bottom < image->height ? bottom : image->height) - rect.y;
	return rect;
}

static size_t
area(const struct lite_rect *rect)
{
	return (size_t)rect->width * rect->height;
}

/* Keeps the largest; a full list loses its last. */
static void
insert(struct lite_rect *regions, size_t *count, struct lite_rect rect)
{
	size_t i = *count < LITE_REGIONS_MAX ? (*count)++ : LITE_REGIONS_MAX - 1;
	if (i == LITE_REGIONS_MAX - 1 && *count == LITE_REGIONS_MAX && area(&regions[i]) >= area(&rect))
		return;
	for (; i > 0 && area(&regions[i - 1]) < area(&rect); i--)
		regions[i] = regions[i - 1];
	regions[i] = rect;
}

static bool
is_within(const struct lite_rect *rect, const struct lite_rect *regions, size_t count)
{
	unsigned x = rect->x + rect->width / 2, y = rect->y + rect->height / 2;
	for (size_t i = 0; i < count; i++) {
		const struct lite_rect *at = &regions[i];
		if (x >= at->x && x < at->x + at->width && y >= at->y && y < at->y + at->height)
			return true;
	}
	return false;
}

static int
add_regions(const struct lite_image *image, struct map *map, unsigned tile, struct lite_rect *regions, size_t *count)
{
	size_t all = (size_t)map->columns * map->lines, before = *count;
	unsigned *stack = malloc((all + 1) * sizeof(*stack));
	if (stack == NULL)
		return SCRY_E_MEMORY;
	struct lite_rect known[LITE_REGIONS_MAX];
	memcpy(known, regions, before * sizeof(*known));
	for (unsigned at = 0; at < all; at++) {
		if (map->tile[at] != 1)
			continue;
		struct extent extent = take_group(map, at, stack);
		unsigned boxed = (extent.right - extent.left + 1) * (extent.bottom - extent.top + 1);
		struct lite_rect rect = rect_of(&extent, tile, image);
		if (extent.tiles >= REGION_TILES && extent.tiles * 100 >= boxed * REGION_FILLED && rect.width >= rect.height &&
		    !is_within(&rect, known, before))
			insert(regions, count, rect);
	}
	free(stack);
	return 0;
}

int
lite_text_regions(const struct lite_image *image, struct lite_rect regions[LITE_REGIONS_MAX], size_t *count)
{
	struct map map;
	size_t found = 0, kept = 0, sum = 0;
	int error = make_map(image, &map);
	if (error == 0) {
		error = add_regions(image, &map, TILE, regions, &found);
		free(map.tile);
	}
	if (error == 0)
		error = make_coarse_map(image, &map);
	if (error < 0)
		return error;
	error = add_regions(image, &map, TILE * COARSE, regions, &found);
	free(map.tile);
	for (size_t i = 0; i < found; i++) {
		if ((sum + area(&regions[i])) * 100 > (size_t)image->width * image->height * REGIONS_SHARE)
			continue;
		sum += area(&regions[i]);
		regions[kept++] = regions[i];
	}
	*count = kept;
	return error;
}

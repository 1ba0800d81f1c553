/* child_heif.c - the boxes of an AVIF or HEIC (ISO/IEC 23008-12, 14496-12): its primary picture as coded tiles.
 *
 * Runs in scry-eye on untrusted bytes; see child_picture.h. FFmpeg 5.1 has decoders for both but a demuxer for neither
 * HEIC nor grids (a phone's photo is a grid of some 50 HEVC pictures), and later versions differ; what is needed of the
 * container is little: which item is the picture, where its bytes are, what configures the decoder, which way is up.
 */
#include "eye/child_picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scry.h"

/* Limits keep the work linear in the file's size, whatever its counts say; a phone's photo has 50 items. */
#define ITEMS_MAX 4096
#define BOXES_MAX 4096    /* properties of a file */
#define PROPERTIES_MAX 32 /* of one item */
#define CODE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* Bytes being read from the front. Reading past the end gives zeros and sets `bad`. */
struct span {
	const uint8_t *at, *end;
	bool bad;
};

struct box {
	uint32_t type;
	struct span body;
};

struct item {
	uint32_t id, type;
	struct span location;                      /* of its entry in iloc, after the id; empty: none */
	const uint8_t *properties[PROPERTIES_MAX]; /* their boxes, in the order of ipma */
	size_t property_count;
};

struct heif {
	const uint8_t *bytes;
	size_t size;
	struct span idat, references;         /* references: iref after its head */
	const uint8_t *properties[BOXES_MAX]; /* the boxes of ipco */
	size_t property_count;
	const uint8_t *properties_end;
	unsigned reference_bytes; /* of an item's id in iref */
	unsigned location_version;
	unsigned offset_bytes, length_bytes, base_bytes, index_bytes; /* of iloc's numbers */
	uint32_t primary;
	struct item *items;
	size_t item_count;
	uint8_t *out; /* gathered coded bytes, each item followed by EYE_PADDING zeros */
	size_t out_size, out_room;
};

static uint64_t
take(struct span *span, unsigned bytes)
{
	uint64_t value = 0;
	if ((size_t)(span->end - span->at) < bytes) {
		span->bad = true;
		span->at = span->end;
		return 0;
	}
	for (; bytes > 0; bytes--)
		value = value << 8 | *span->at++;
	return value;
}

static uint32_t
take32(struct span *span)
{
	return (uint32_t)take(span, 4);
}

static uint32_t
take16(struct span *span)
{
	return (uint32_t)take(span, 2);
}

/* The next box of `span`. False at the end, or where the bytes are no box. */
static bool
next_box(struct span *span, struct box *out)
{
	size_t left = (size_t)(span->end - span->at);
	if (left < 8)
		return false;
	struct span head = *span;
	uint64_t size = take32(&head);
	out->type = take32(&head);
	if (size == 1)
		size = take(&head, 8);
	else if (size == 0)
		size = left;
	if (head.bad || size < (size_t)(head.at - span->at) || size > left)
		return false;
	out->body = (struct span){head.at, span->at + size, false};
	span->at += size;
	return true;
}

static bool
find_box(struct span span, uint32_t type, struct box *out)
{
	while (next_box(&span, out))
		if (out->type == type)
			return true;
	return false;
}

static struct item *
find_item(struct heif *heif, uint32_t id)
{
	for (size_t i = 0; i < heif->item_count; i++)
		if (heif->items[i].id == id)
			return &heif->items[i];
	return NULL;
}

/* --- the boxes of meta ------------------------------------------------------------------------------------ */

static void
read_items(struct heif *heif, struct span iinf)
{
	unsigned version = (unsigned)take(&iinf, 4) >> 24;
	take(&iinf, version == 0 ? 2 : 4);
	struct box entry;
	while (heif->item_count < ITEMS_MAX && next_box(&iinf, &entry)) {
		unsigned entry_version = take32(&entry.body) >> 24;
		if (entry.type != CODE('i', 'n', 'f', 'e') || entry_version < 2)
			continue;
		struct item *item = &heif->items[heif->item_count];
		*item = (struct item){.id = (uint32_t)take(&entry.body, entry_version == 2 ? 2 : 4)};
		take16(&entry.body); /* protection */
		item->type = take32(&entry.body);
		if (!entry.body.bad)
			heif->item_count++;
	}
}

/* Goes past one entry's extents, so that the next one is found. */
static void
skip_location(const struct heif *heif, struct span *span)
{
	if (heif->location_version > 0)
		take16(span);
	take16(span);
	take(span, heif->base_bytes);
	size_t each = heif->offset_bytes + heif->length_bytes + heif->index_bytes;
	size_t bytes = take16(span) * each;
	if ((size_t)(span->end - span->at) < bytes)
		span->bad = true;
	else
		span->at += bytes;
}

static void
read_locations(struct heif *heif, struct span iloc)
{
	heif->location_version = take32(&iloc) >> 24;
	unsigned sizes = take16(&iloc);
	heif->offset_bytes = sizes >> 12;
	heif->length_bytes = sizes >> 8 & 15;
	heif->base_bytes = sizes >> 4 & 15;
	heif->index_bytes = heif->location_version > 0 ? sizes & 15 : 0;
	if (heif->offset_bytes > 8 || heif->length_bytes > 8 || heif->base_bytes > 8 || heif->index_bytes > 8)
		return;
	unsigned wide = heif->location_version < 2 ? 2 : 4;
	uint32_t count = (uint32_t)take(&iloc, wide);
	for (count = count < ITEMS_MAX ? count : ITEMS_MAX; count > 0 && !iloc.bad; count--) {
		struct item *item = find_item(heif, (uint32_t)take(&iloc, wide));
		if (item != NULL)
			item->location = iloc;
		skip_location(heif, &iloc);
	}
}

static void
read_properties(struct heif *heif, struct span ipco)
{
	struct box box;
	heif->properties_end = ipco.end;
	for (const uint8_t *start = ipco.at; heif->property_count < BOXES_MAX && next_box(&ipco, &box); start = ipco.at)
		heif->properties[heif->property_count++] = start;
}

static void
read_associations(struct heif *heif, struct span ipma)
{
	uint32_t head = take32(&ipma);
	unsigned id_bytes = head >> 24 < 1 ? 2 : 4, index_bytes = head & 1 ? 2 : 1;
	uint32_t count = take32(&ipma);
	for (count = count < ITEMS_MAX ? count : ITEMS_MAX; count > 0 && !ipma.bad; count--) {
		struct item *item = find_item(heif, (uint32_t)take(&ipma, id_bytes));
		for (unsigned left = (unsigned)take(&ipma, 1); left > 0 && !ipma.bad; left--) {
			uint32_t index = (uint32_t)take(&ipma, index_bytes) & (index_bytes == 2 ? 0x7fff : 0x7f);
			if (item != NULL && index > 0 && index <= heif->property_count && item->property_count < PROPERTIES_MAX)
				item->properties[item->property_count++] = heif->properties[index - 1];
		}
	}
}

static int
read_meta(struct heif *heif, struct span meta, struct why *why)
{
	struct box box;
	take32(&meta);
	if (!find_box(meta, CODE('p', 'i', 't', 'm'), &box))
		return why_set(why, SCRY_E_INPUT, "damaged heif: it does not say which picture is shown");
	heif->primary = (uint32_t)take(&box.body, take32(&box.body) >> 24 == 0 ? 2 : 4);
	if (find_box(meta, CODE('i', 'i', 'n', 'f'), &box))
		read_items(heif, box.body);
	if (find_box(meta, CODE('i', 'l', 'o', 'c'), &box))
		read_locations(heif, box.body);
	if (find_box(meta, CODE('i', 'd', 'a', 't'), &box))
		heif->idat = box.body;
	if (find_box(meta, CODE('i', 'r', 'e', 'f'), &box)) {
		heif->reference_bytes = take32(&box.body) >> 24 == 0 ? 2 : 4;
		heif->references = box.body;
	}
	struct box inner;
	if (find_box(meta, CODE('i', 'p', 'r', 'p'), &box) && find_box(box.body, CODE('i', 'p', 'c', 'o'), &inner)) {
		read_properties(heif, inner.body);
		while (next_box(&box.body, &inner))
			if (inner.type == CODE('i', 'p', 'm', 'a')) {
				read_associations(heif, inner.body);
				break;
			}
	}
	return SCRY_OK;
}

/* --- items ------------------------------------------------------------------------------------------------ */

/* The body of an item's first property of that type. */
static bool
item_property(const struct heif *heif, const struct item *item, uint32_t type, struct span *out)
{
	for (size_t i = 0; i < item->property_count; i++) {
		struct span span = {item->properties[i], heif->properties_end, false};
		struct box box;
		if (next_box(&span, &box) && box.type == type) {
			*out = box.body;
			return true;
		}
	}
	return false;
}

static bool
item_size(const struct heif *heif, const struct item *item, uint32_t *width, uint32_t *height)
{
	struct span ispe;
	if (!item_property(heif, item, CODE('i', 's', 'p', 'e'), &ispe))
		return false;
	take32(&ispe);
	*width = take32(&ispe);
	*height = take32(&ispe);
	return !ispe.bad && *width > 0 && *height > 0;
}

/* Appends one extent to heif->out. */
static int
gather_extent(struct heif *heif, unsigned method, uint64_t offset, uint64_t length, struct why *why)
{
	const uint8_t *base = method == 0 ? heif->bytes : heif->idat.at;
	size_t room = method == 0 ? heif->size : (size_t)(heif->idat.end - heif->idat.at);
	if (base == NULL || offset > room)
		return picture_truncated("heif", heif->size, why);
	if (length == 0) /* to the end */
		length = room - offset;
	if (length > room - offset)
		return picture_truncated("heif", heif->size, why);
	if (length > heif->out_room - heif->out_size)
		return why_set(why, SCRY_E_INPUT, "damaged heif: its parts are larger together than the file");
	memcpy(heif->out + heif->out_size, base + offset, (size_t)length);
	heif->out_size += (size_t)length;
	return SCRY_OK;
}

/* Gathers the bytes of an item; *data points into heif->out and is followed by padding. */
static int
gather(struct heif *heif, const struct item *item, const uint8_t **data, size_t *size, struct why *why)
{
	struct span span = item->location;
	if (span.at == span.end)
		return why_set(why, SCRY_E_INPUT, "damaged heif: it does not say where its picture is");
	unsigned method = heif->location_version > 0 ? take16(&span) & 15 : 0;
	unsigned reference = take16(&span);
	uint64_t base = take(&span, heif->base_bytes);
	if (method > 1 || reference != 0)
		return why_set(why, SCRY_E_INPUT,
		               "this HEIF keeps its picture in an unusual place, which is not read here; save it "
		               "as JPEG or PNG");
	size_t start = heif->out_size;
	for (unsigned count = take16(&span); count > 0; count--) {
		take(&span, heif->index_bytes);
		uint64_t offset = take(&span, heif->offset_bytes), length = take(&span, heif->length_bytes);
		if (span.bad || offset > UINT64_MAX - base)
			return picture_truncated("heif", heif->size, why);
		int error = gather_extent(heif, method, base + offset, length, why);
		if (error != SCRY_OK)
			return error;
	}
	*data = heif->out + start;
	*size = heif->out_size - start;
	if (*size == 0)
		return why_set(why, SCRY_E_INPUT, "damaged heif: a part of its picture has no bytes");
	heif->out_size += EYE_PADDING; /* out_room leaves it for each tile */
	return SCRY_OK;
}

/* --- layers ------------------------------------------------------------------------------------------------ */

static int
add_tile(struct heif *heif, const struct item *item, struct picture *out, struct picture_layer *layer, struct why *why)
{
	struct picture_tile *tile = &layer->tiles[layer->count];
	bool av1 = item->type == CODE('a', 'v', '0', '1'), hevc = item->type == CODE('h', 'v', 'c', '1');
	struct span config;
	if ((!av1 && !hevc) ||
	    !item_property(heif, item, av1 ? CODE('a', 'v', '1', 'C') : CODE('h', 'v', 'c', 'C'), &config))
		return why_set(why, SCRY_E_INPUT,
		               "this HEIF is coded in a way that is not read here (\"%c%c%c%c\"); save it as JPEG "
		               "or PNG",
		               (int)(item->type >> 24), (int)(item->type >> 16 & 255), (int)(item->type >> 8 & 255),
		               (int)(item->type & 255));
	enum picture_kind kind = av1 ? PICTURE_AV1 : PICTURE_HEVC;
	if (out->color.count + out->alpha.count > 0 && kind != out->kind)
		return why_set(why, SCRY_E_INPUT, "damaged heif: its parts are coded in two ways");
	out->kind = kind;
	out->name = av1 ? "avif" : "heic";
	int error = gather(heif, item, &tile->data, &tile->size, why);
	if (error != SCRY_OK)
		return error;
	tile->config = config.at;
	tile->config_size = (size_t)(config.end - config.at);
	layer->count++;
	return SCRY_OK;
}

/* The items that `from` refers to by references of `type`: their ids as a span of 2 or 4 bytes each. */
static bool
find_references(const struct heif *heif, uint32_t type, uint32_t from, struct span *out)
{
	struct span span = heif->references;
	struct box box;
	while (next_box(&span, &box)) {
		if (box.type != type || take(&box.body, heif->reference_bytes) != from)
			continue;
		size_t bytes = (size_t)take16(&box.body) * heif->reference_bytes;
		if ((size_t)(box.body.end - box.body.at) < bytes)
			return false;
		*out = (struct span){box.body.at, box.body.at + bytes, false};
		return true;
	}
	return false;
}

struct grid {
	unsigned rows, columns;
	uint32_t width, height;
};

static int
read_grid(struct heif *heif, const struct item *item, struct grid *out, struct why *why)
{
	const uint8_t *data = NULL;
	size_t size = 0;
	int error = gather(heif, item, &data, &size, why);
	if (error != SCRY_OK)
		return error;
	struct span span = {data, data + size, false};
	unsigned wide = take16(&span) & 1 ? 4 : 2;
	out->rows = (unsigned)take(&span, 1) + 1;
	out->columns = (unsigned)take(&span, 1) + 1;
	out->width = (uint32_t)take(&span, wide);
	out->height = (uint32_t)take(&span, wide);
	if (span.bad)
		return why_set(why, SCRY_E_INPUT, "damaged heif: the plan of its tiles is cut");
	return SCRY_OK;
}

/* Adds the tiles of a grid, row by row. *width, *height: of the whole. */
static int
add_grid(struct heif *heif, const struct item *item, struct picture *out, struct picture_layer *layer, uint32_t *width,
         uint32_t *height, struct why *why)
{
	struct grid grid;
	struct span tiles;
	int error = read_grid(heif, item, &grid, why);
	if (error != SCRY_OK)
		return error;
	size_t count = (size_t)grid.rows * grid.columns;
	if (count > EYE_TILES_MAX)
		return why_set(why, SCRY_E_LIMIT, "%zu tiles are over the limit of %d for a picture; scale it down first",
		               count, EYE_TILES_MAX);
	if (!find_references(heif, CODE('d', 'i', 'm', 'g'), item->id, &tiles) ||
	    (size_t)(tiles.end - tiles.at) != count * heif->reference_bytes)
		return why_set(why, SCRY_E_INPUT, "damaged heif: it is made of %zu tiles and does not say which", count);
	uint32_t tile_width = 0, tile_height = 0, w, h;
	for (size_t i = 0; i < count; i++) {
		const struct item *tile = find_item(heif, (uint32_t)take(&tiles, heif->reference_bytes));
		if (tile == NULL || !item_size(heif, tile, &w, &h) || w > EYE_SIDE_MAX || h > EYE_SIDE_MAX ||
		    (i > 0 && (w != tile_width || h != tile_height)))
			return why_set(why, SCRY_E_INPUT, "damaged heif: its tiles do not fit together");
		tile_width = w;
		tile_height = h;
		error = add_tile(heif, tile, out, layer, why);
		if (error != SCRY_OK)
			return error;
		uint64_t x = (uint64_t)(i % grid.columns) * w, y = (uint64_t)(i / grid.columns) * h;
		if (x >= grid.width || y >= grid.height)
			return why_set(why, SCRY_E_INPUT, "damaged heif: its tiles do not fit together");
		layer->tiles[i].x = (uint32_t)x;
		layer->tiles[i].y = (uint32_t)y;
		layer->tiles[i].width = w;
		layer->tiles[i].height = h;
	}
	if ((uint64_t)tile_width * grid.columns < grid.width || (uint64_t)tile_height * grid.rows < grid.height)
		return why_set(why, SCRY_E_INPUT, "damaged heif: its tiles do not fill the picture");
	*width = grid.width;
	*height = grid.height;
	return SCRY_OK;
}

static int
add_layer(struct heif *heif, const struct item *item, struct picture *out, struct picture_layer *layer, uint32_t *width,
          uint32_t *height, struct why *why)
{
	layer->tiles = calloc(EYE_TILES_MAX, sizeof(*layer->tiles));
	if (layer->tiles == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	if (item->type == CODE('g', 'r', 'i', 'd'))
		return add_grid(heif, item, out, layer, width, height, why);
	if (!item_size(heif, item, width, height))
		return why_set(why, SCRY_E_INPUT, "damaged heif: it does not say how large its picture is");
	return add_tile(heif, item, out, layer, why);
}

static bool
is_alpha(const struct heif *heif, const struct item *item)
{
	static const char *const names[] = {"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1"};
	struct span type;
	if (item == NULL || !item_property(heif, item, CODE('a', 'u', 'x', 'C'), &type))
		return false;
	take32(&type);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t bytes = strlen(names[i]) + 1;
		if ((size_t)(type.end - type.at) >= bytes && memcmp(type.at, names[i], bytes) == 0)
			return true;
	}
	return false;
}

/* The item that says it is the transparency of the primary one; NULL: none. */
static const struct item *
find_alpha(struct heif *heif)
{
	struct span span = heif->references;
	struct box box;
	for (unsigned count = 0; count < ITEMS_MAX && next_box(&span, &box); count++) {
		if (box.type != CODE('a', 'u', 'x', 'l'))
			continue;
		uint32_t from = (uint32_t)take(&box.body, heif->reference_bytes);
		take16(&box.body);
		if ((uint32_t)take(&box.body, heif->reference_bytes) != heif->primary || box.body.bad)
			continue;
		const struct item *item = find_item(heif, from);
		if (is_alpha(heif, item))
			return item;
	}
	return NULL;
}

/* --- what the properties say -------------------------------------------------------------------------------- */

/* Turns and mirrors are applied in the order of ipma. An EXIF orientation is "mirror left-right or not, then turn", so
 * each step changes the pair. irot turns anticlockwise; imir 0 exchanges top and bottom, 1 left and right
 * (ISO/IEC 23008-12:2022, 6.5.10 and 6.5.12). */
static unsigned
orientation_of(const struct heif *heif, const struct item *item)
{
	static const unsigned char exif[2][4] = {{1, 6, 3, 8}, {2, 7, 4, 5}}; /* [mirrored][clockwise quarter turns] */
	unsigned mirrored = 0, turns = 0;
	for (size_t i = 0; i < item->property_count; i++) {
		struct span span = {item->properties[i], heif->properties_end, false};
		struct box box;
		if (!next_box(&span, &box))
			continue;
		if (box.type == CODE('i', 'r', 'o', 't')) {
			turns = (turns + 4 - ((unsigned)take(&box.body, 1) & 3)) & 3;
		} else if (box.type == CODE('i', 'm', 'i', 'r')) {
			/* Mirroring after a turn is the opposite turn after mirroring; top-bottom is left-right and a half turn. */
			unsigned left_right = (unsigned)take(&box.body, 1) & 1;
			turns = (4 - turns + (left_right ? 0 : 2)) & 3;
			mirrored ^= 1;
		}
	}
	return exif[mirrored][turns];
}

static void
read_colors(const struct heif *heif, const struct item *item, struct picture *out)
{
	for (size_t i = 0; i < item->property_count; i++) {
		struct span span = {item->properties[i], heif->properties_end, false};
		struct box box;
		if (!next_box(&span, &box) || box.type != CODE('c', 'o', 'l', 'r') ||
		    take32(&box.body) != CODE('n', 'c', 'l', 'x'))
			continue;
		take32(&box.body); /* primaries and transfer: colours are not managed */
		int matrix = (int)take16(&box.body), range = (int)take(&box.body, 1) >> 7;
		if (!box.body.bad) {
			out->matrix = matrix;
			out->full_range = range;
		}
	}
}

/* --- all together ------------------------------------------------------------------------------------------ */

static int
read_picture(struct heif *heif, struct picture *out, struct why *why)
{
	const struct item *item = find_item(heif, heif->primary);
	if (item == NULL)
		return why_set(why, SCRY_E_INPUT, "damaged heif: the picture that is shown is not in it");
	/* Items may share bytes; what is gathered is bounded all the same. */
	heif->out_room = heif->size + heif->size / 2 + 65536;
	heif->out = calloc(1, heif->out_room + (2 * EYE_TILES_MAX + 4) * (size_t)EYE_PADDING);
	if (heif->out == NULL)
		return why_set(why, SCRY_E_MEMORY, "out of memory");
	out->owned = heif->out;
	uint32_t width = 0, height = 0, alpha_width, alpha_height;
	int error = add_layer(heif, item, out, &out->color, &width, &height, why);
	if (error == SCRY_OK)
		error = picture_set_size(out, width, height, why);
	if (error != SCRY_OK)
		return error;
	const struct item *alpha = find_alpha(heif);
	if (alpha != NULL) {
		error = add_layer(heif, alpha, out, &out->alpha, &alpha_width, &alpha_height, why);
		if (error == SCRY_OK && (alpha_width != width || alpha_height != height))
			return why_set(why, SCRY_E_INPUT, "damaged heif: its transparency is of another size than its picture");
		if (error != SCRY_OK)
			return error;
	}
	out->orientation = orientation_of(heif, item);
	read_colors(heif, item, out);
	return SCRY_OK;
}

/* Brands of pictures; anything else with an ftyp is a video or a sound. */
static bool
is_picture_brand(struct span ftyp)
{
	static const char brands[] = "avif avis heic heix heim heis mif1 mif2 miaf msf1 hevc hevx 1pic";
	bool first = true;
	while (ftyp.end - ftyp.at >= 4) {
		char brand[5] = "";
		memcpy(brand, ftyp.at, 4);
		if (brand[0] != ' ' && strlen(brand) == 4 && strstr(brands, brand) != NULL)
			return true;
		take(&ftyp, first ? 8 : 4); /* the major brand is followed by a version */
		first = false;
	}
	return false;
}

int
heif_read(uint8_t *bytes, size_t size, struct picture *out, struct why *why)
{
	struct span file = {bytes, bytes + size, false};
	struct box box;
	if (!next_box(&file, &box))
		return picture_truncated("heif", size, why);
	if (!is_picture_brand(box.body))
		return why_set(why, SCRY_E_INPUT, "this is a video or sound file (MP4), not a picture");
	while (next_box(&file, &box) && box.type != CODE('m', 'e', 't', 'a'))
		continue;
	if (box.type != CODE('m', 'e', 't', 'a'))
		return file.at < file.end ? picture_truncated("heif", size, why) :
									why_set(why, SCRY_E_INPUT, "this HEIF holds an animation and no still picture");
	struct heif *heif = calloc(1, sizeof(*heif));
	struct item *items = calloc(ITEMS_MAX, sizeof(*items));
	int error = SCRY_E_MEMORY;
	if (heif != NULL && items != NULL) {
		heif->bytes = bytes;
		heif->size = size;
		heif->items = items;
		error = read_meta(heif, box.body, why);
		if (error == SCRY_OK)
			error = read_picture(heif, out, why);
	} else {
		why_set(why, error, "out of memory");
	}
	free(items);
	free(heif);
	return error;
}

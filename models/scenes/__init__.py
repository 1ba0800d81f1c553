"""Drawn scenes with exact words: the data that the demo models are trained on and tested with.

    from scenes import sample, draw, grammar
    scene = sample.scene(seed=7, width=128, height=128)
    image = draw.render(scene).pixels          # uint8 [height, width, 3]
    text  = grammar.caption(scene)

Everything follows from the seed: the same seed and size give the same pixels and the same words on every
machine (numpy's PCG64 generator, our own glyphs, no fonts, no clock).
"""

"""Pictures as SVG: axes, colours, timeline, memories, roofline."""

"""The opcodes, a file for each: fields, queue, regions, event counts and line of a listing."""

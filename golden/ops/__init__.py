"""One file an operation of the graph, each a function on integer tensors."""

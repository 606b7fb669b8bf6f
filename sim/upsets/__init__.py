"""Single event upsets: a running machine in which one bit of its state is turned over."""

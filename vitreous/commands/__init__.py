"""The commands of the command line, one file for each step that a user takes; ``vitreous.cli`` lists them."""

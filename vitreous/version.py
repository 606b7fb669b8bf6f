"""The version of Vitreous, which is also that of the cores that it writes."""

VERSION = "0.1.0"

"""From recorded data to the figures of a report: layers, stalls, schedule, roofline, memory map."""

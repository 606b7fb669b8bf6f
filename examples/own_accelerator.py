"""Two accelerators with the same number of multiply-accumulates a cycle: what the shape of the array costs.

8 x 8 lanes, 4 deep against 16 x 16 lanes, 1 deep, on the shipped transformer, with a slower memory.
"""

from dataclasses import replace

import vitreous

if __name__ == "__main__":
    wide = vitreous.load_accelerator("edge256")
    square = replace(wide, name="square", array=replace(wide.array, lanes=16, depth=1))
    options = vitreous.Options(memory_latency=100, memory_throughput=50)
    for config in (wide, square):
        report = vitreous.run(
            "fashion-vit", config, out=f"build/compare-{config.name}", options=options, quiet=False
        )
        print(f"{config.name}: {report.cycles_per_image:,.0f} cycles, utilization {report.utilization:.1%}")

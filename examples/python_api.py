"""The whole way from Python: the shipped transformer on the edge256 accelerator, with two figures of its report."""

import vitreous

if __name__ == "__main__":
    report = vitreous.run("fashion-vit", "edge256", images=4, out="build/example", quiet=False)
    print(
        f"equal to golden: {report.equal}; {report.cycles_per_image:,.0f} cycles, utilization {report.utilization:.1%}"
    )
    slowest = max(report.layers, key=lambda layer: layer.cycles)
    print(f"slowest layer: {slowest.label}, {slowest.cycles:,} cycles")

"""Train the course's small network over seeds, and keep the results in book/results/.

python -m benchmarks.networks                      every study; rows that are kept already are not made again
python -m benchmarks.networks pooling_kinds        some of them
python -m benchmarks.networks --show pooling_kinds the kept results as a table
python -m benchmarks.networks weights              the weights that ship with poolref
python -m benchmarks.networks heads                its global heads, on the convolutions that ship
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.networks import heads, study, weights
from poolref.teaching import results

SHIPPED = {"weights": weights, "heads": heads}  # what is trained once and comes with poolref


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "name", nargs="*", help=f"{', '.join(SHIPPED)}, or studies: {', '.join(study.names())}; default: all studies"
    )
    parser.add_argument("--anew", action="store_true", help="forget what is kept, as after a change of a study's code")
    parser.add_argument("--show", action="store_true", help="print what is kept, and run nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.name) - {*SHIPPED, *study.names()}:
        parser.error(f"name must be one of {', '.join([*SHIPPED, *study.names()])}, got {', '.join(sorted(unknown))}")

    torch.set_num_threads(1)
    for name in arguments.name or study.names():
        if arguments.show:
            kept = results(name)
            print(f"## {kept.question}\n\n{kept.table()}\n")
        elif name in SHIPPED:
            print(SHIPPED[name].make())
        else:
            study.run(study.get(name), anew=arguments.anew)


if __name__ == "__main__":
    main()

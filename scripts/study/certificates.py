"""Do certificates hold? Five rounds of promotion on skies of which the truth is known, thousands of times over.

Each catalogue is one use of the program (`known_rounds`), and what stands above its thresholds is known exactly
(`known_truth`). It is violated if any class of any round breaks a promise:

* population: the error rate above the threshold, of all that earlier rounds have left, is above alpha;
* batch: more labels of the batch are wrong than its certificate says. The pool of 50,000 is drawn object by object and
  teaches the next network; that of 2,000 is a part of it; of 10^6 only the counts are drawn, from the known masses,
  which is the same in law.

The same skies are followed twice: where promoted labels train, so that what a round takes leaves pool and calibration,
and where they only assert (`[teaching]`), so that each round certifies the whole pool. The first rounds are the same.

Yields are shares of what an oracle takes: all above the loosest threshold whose population error is at most alpha. They
are told apart by n, the certifying objects at or above the oracle's threshold in units of the fewest that can show
alpha without an error. Beside them stands the attainable: the best expected yield of one exact test with such an n, at
the best threshold, which only the truth could tell. Other rules promote from the first round's scores.

    python scripts/study/certificates.py [--catalogues 500] [--processes 2] [--seed 0]

Prints Markdown. Exits with 1 where a promise is broken in more than delta of a setting's catalogues (and in more than
one: a single one proves nothing), or where five rounds of the whole pool label less, by more than chance. The last line
is the worst rate.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
from known_rounds import CLASSES, DELTA, POOLS, ROUNDS, ROW, Setting, follow
from known_truth import Bools, Floats, Sky
from scipy.stats import beta, t
from threadpoolctl import threadpool_limits

from catbuilder.core.progress import Reporter
from catbuilder.decisions.error_bounds import zero_error_n

ALPHAS, RATIOS, SEPARATIONS, SHARPNESSES = (0.005, 0.01, 0.02, 0.05), (1.0, 10.0), (2.5, 3.3, 4.0), (1.0, 4.0)
SHIFTS = (0.4, 0.8, 1.6)  # standard deviations of the second feature, with which the classes fade into each other
# Calibration objects in each half: eight times the fewest of a class; with 10:1 more, where that helps the rare class.
EIGHTFOLD, FOR_THE_RARE = 8, {0.05: 8_000, 0.02: 12_000}
BLOCK = 25  # catalogues a task
BINS = ((1, 3), (3, 10), (10, 10_000))
KINDS = (("1:1", 1.0, (0, 1)), ("10:1, common", 10.0, (0,)), ("10:1, rare", 10.0, (1,)))
LINES = len(ALPHAS) * len(KINDS) * len(SEPARATIONS)
FEWEST = 50  # class-rounds in a cell that is shown
WANTED = 0.7  # of the oracle's yield, from three times the fewest on
Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]


def settings() -> list[Setting]:
    """The full cross, pools that are fainter than the calibration objects (plain and weighted), the cross once more."""
    found = []
    for sharpness, alpha, ratio, separation in product(SHARPNESSES, ALPHAS, RATIOS, SEPARATIONS):
        half = EIGHTFOLD * zero_error_n(alpha, DELTA / (ROUNDS * CLASSES))
        half = max(half, FOR_THE_RARE.get(alpha, 0)) if ratio > 1 else half
        found.append(Setting(alpha, Sky(separation, ratio), half, sharpness))
    for shift, weighted in product(SHIFTS, (False, True)):
        found.append(Setting(0.05, Sky(3.3, 1.0, fade=0.25, shift=shift), 4_000, rounds=1, weighted=weighted))
    crossed = [(index, setting) for index, setting in enumerate(found) if not setting.sky.shift]
    return found + [replace(setting, whole=True, like=index) for index, setting in crossed]


def run(catalogues: int, processes: int, seed: int) -> Rows:
    """All rows of all settings, in the same order whatever the number of processes."""
    tasks = [
        (setting, index, range(first, min(first + BLOCK, catalogues)), seed)
        for index, setting in enumerate(settings())
        for first in range(0, catalogues, BLOCK)
    ]
    parts, started = [], time.perf_counter()
    with ProcessPoolExecutor(processes) as pool:
        for done, part in enumerate(pool.map(work, tasks), start=1):
            parts.append(part)
            if done % max(1, len(tasks) // 20) == 0 or done == len(tasks):
                Reporter().say(f"{done / len(tasks):.0%} of the catalogues, {time.perf_counter() - started:.0f} s")
    return np.concatenate(parts)


def work(task: tuple[Setting, int, range, int]) -> Rows:
    setting, index, catalogues, seed = task
    with threadpool_limits(1):
        return np.array([row for c in catalogues for row in follow(setting, index, c, seed)], ROW)


def violations(rows: Rows, flags: Bools) -> int:
    """Catalogues with any flag."""
    return len(set(zip(rows["setting"][flags].tolist(), rows["catalogue"][flags].tolist(), strict=True)))


def rate(violated: int, catalogues: int) -> str:
    """In per cent, with the two-sided 95 per cent interval of Clopper & Pearson (1934)."""
    low = beta.ppf(0.025, violated, catalogues - violated + 1) if violated else 0.0
    high = beta.ppf(0.975, violated + 1, catalogues - violated) if violated < catalogues else 1.0
    return f"{violated / catalogues:.1%} [{low:.1%}, {high:.1%}]"


def broken(rows: Rows) -> list[int]:
    """Catalogues that break the population's promise, and each pool's."""
    return [violations(rows, rows["over"]), *(violations(rows, rows["batch_over"][:, k]) for k in range(len(POOLS)))]


def print_table(header: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> None:
    """In Markdown."""
    for line in (header, ("---",) * len(header), *lines):
        print("|", " | ".join(line), "|")
    print()


def select(rows: Rows, index: Ints, **wanted: object) -> Rows:
    """Rows of the settings with these numbers whose columns have these values."""
    chosen = np.isin(rows["setting"], index)
    for column, value in wanted.items():
        chosen &= rows[column] == value
    return rows[chosen]


def numbers(*, whole: bool = False, **wanted: object) -> Ints:
    """Settings with these properties, of the setting or its sky."""
    wanted["whole"] = whole
    properties = [vars(s.sky) | vars(s) for s in settings()]
    return np.array([i for i, has in enumerate(properties) if all(has[k] == v for k, v in wanted.items())], int)


def promises(rows: Rows, catalogues: int, whole: bool) -> None:
    """How often a catalogue broke its promises: the full cross."""
    how = "the whole pool in each round" if whole else "what earlier rounds have left"
    print("Catalogues in which a certified class broke its promise in any of five rounds, with the 95 % interval:")
    print(f"certified is {how}\n")
    lines = []
    for alpha, ratio, separation in product(ALPHAS, RATIOS, SEPARATIONS):
        cells = [f"{alpha:.1%}", f"{ratio:.0f}:1", f"{separation}"]
        for sharpness in SHARPNESSES:
            index = numbers(whole=whole, alpha=alpha, ratio=ratio, separation=separation, sharpness=sharpness, fade=0.0)
            population, *batches = broken(select(rows, index, rule="certified"))
            cells += [rate(population, catalogues), rate(max(batches), catalogues)]
        lines.append(tuple(cells))
    columns = ("population, calibrated", "batch, calibrated", "population, logits x 4", "batch, logits x 4")
    print_table(("alpha", "ratio", "d'", *columns), lines)


def yields(rows: Rows) -> None:
    """Certified beside the oracle and the attainable, by alpha, separation and kind of class."""
    print("First round: yield / attainable yield, as shares of the oracle's (classes, of these refused), by n in units")
    print("of the fewest objects that can show alpha\n")
    lines, enough = [], []
    for alpha, (kind, ratio, classes), separation in product(ALPHAS, KINDS, SEPARATIONS):
        index = numbers(alpha=alpha, ratio=ratio, separation=separation, fade=0.0)
        here = select(rows, index, rule="certified", round=1)
        here = here[np.isin(here["predicted"], classes)]
        lines.append((f"{alpha:.1%}", kind, f"{separation}", *(cell(here, *edges) for edges in BINS)))
        many = here[here["n"] >= BINS[1][0]]
        if len(many) >= FEWEST:
            enough.append((many["yield"].mean(), many["attainable"].mean()))
    print_table(("alpha", "class", "d'", *(f"n {low} to {high:,}" for low, high in BINS)), lines)
    nearness = sorted(got / attainable for got, attainable in enough if got < WANTED)
    print(
        f"With n of 3 and more, {len(enough) - len(nearness)} of {len(enough)} lines reach {WANTED:.0%} of the oracle's"
    )
    print(f"yield. Yield over attainable, in the others: {', '.join(f'{part:.2f}' for part in nearness) or 'none'}.")
    for whole, how in ((False, "what earlier rounds have left"), (True, "the whole pool")):
        every = select(rows, numbers(whole=whole, fade=0.0), rule="certified")
        later, few = every[(every["round"] > 1) & (every["n"] >= BINS[1][0])], every[every["n"] < 1]
        got, attainable = later["yield"].mean(), later["attainable"].mean()
        print(f"Later rounds that certify {how}: {len(later):,} class-rounds have an n of 3 and more, and")
        print(f"yield {got:.2f} of the oracle's, where {attainable:.2f} is attainable afresh. With n below 1,")
        print(f"{few['promoted'].sum():,} of {len(few):,} class-rounds promoted anything.\n")


def five_rounds(rows: Rows) -> int:
    """What five rounds label by either scheme; the number of lines in which the whole pool labels less."""
    print(
        "All that five rounds have labelled, as a share of the first round's oracle's: certifying what earlier rounds"
    )
    print(
        "have left, then the whole pool; the difference on the same skies with its 95 % interval; and how many classes"
    )
    print("of a catalogue have more errors than alpha among all labels of five rounds, which nobody promises\n")
    lines, lost = [], 0
    for alpha, (kind, ratio, classes), separation in product(ALPHAS, KINDS, SEPARATIONS):
        last = []
        for whole in (False, True):
            index = numbers(whole=whole, alpha=alpha, ratio=ratio, separation=separation, fade=0.0)
            here = select(rows, index, rule="certified")
            here = here[np.isin(here["predicted"], classes)]
            last.append(after_five(here, [np.flatnonzero(index == n)[0] for n in here["setting"]]))
        (left, left_over), (all_of_it, all_over) = last
        gain = all_of_it - left
        error = float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
        half = float(t.ppf(0.975, len(gain) - 1)) * error
        lost += gain.mean() < -float(t.ppf(1 - 0.05 / LINES, len(gain) - 1)) * error  # of any line, in 5 of 100 studies
        lines.append((
            f"{alpha:.1%}", kind, f"{separation}", f"{left.mean():.2f}", f"{all_of_it.mean():.2f}",
            f"{gain.mean():+.3f} [{gain.mean() - half:+.3f}, {gain.mean() + half:+.3f}]",
            f"{left_over.mean():.1%} / {all_over.mean():.1%}",
        ))  # fmt: skip
    print_table(("alpha", "class", "d'", "what is left", "whole pool", "gain", "above alpha in all"), lines)
    print(f"Lines in which certifying the whole pool labels less, by more than chance: {lost} of {len(lines)}.\n")
    return lost


def after_five(rows: Rows, pairs: list[int]) -> tuple[Floats, Bools]:
    """Share labelled by the last round of each catalogue and class, and whether too much of it is wrong."""
    keys = np.array(pairs), rows["catalogue"], rows["predicted"], rows["round"]
    order = np.lexsort(keys[::-1])
    groups = np.stack([key[order] for key in keys[:3]])
    last = np.append((np.diff(groups) != 0).any(axis=0), True)
    found = rows[order][last]
    return np.nan_to_num(found["labelled"]), found["labelled_over"]


def cell(rows: Rows, low: float, high: float) -> str:
    """Of the class-rounds in a bin."""
    rows = rows[(rows["n"] >= low) & (rows["n"] < high)]
    if len(rows) < FEWEST:
        return "-"
    refused = 1 - rows["promoted"].mean()
    return f"{rows['yield'].mean():.2f} / {rows['attainable'].mean():.2f} ({len(rows):,}, {refused:.0%})"


def rules(rows: Rows, catalogues: int) -> None:
    """Other rules on the same scores."""
    print("Catalogues in which a class of the first round has more errors than alpha: population / promoted labels;")
    print("and the mean yield as a share of the oracle's, over classes, ratios and d'\n")
    lines = []
    for rule, sharpness in product(dict.fromkeys(rows["rule"]), SHARPNESSES):
        cells = [str(rule), "calibrated" if sharpness == 1 else f"logits x {sharpness:.0f}"]
        for alpha in ALPHAS:
            index = numbers(alpha=alpha, sharpness=sharpness, fade=0.0)
            here = select(rows, index, rule=rule, round=1)
            over, realized = (violations(here, here[c]) / (catalogues * len(index)) for c in ("over", "realized_over"))
            cells.append(f"{over:.1%} / {realized:.1%}; {np.nanmean(here['yield']):.2f}")
        lines.append(tuple(cells))
    print_table(("rule", "scores", *(f"alpha {alpha:.1%}" for alpha in ALPHAS)), lines)


def shifts(rows: Rows, catalogues: int) -> None:
    """A pool that is fainter than the calibration objects."""
    print("A pool whose second feature is shifted, alpha 5 %, d' 3.3, one round: catalogues that break the promise\n")
    lines = []
    for shift, weighted in product(SHIFTS, (False, True)):
        here = select(rows, numbers(shift=shift, weighted=weighted), rule="certified")
        population, *batches = broken(here)
        lines.append((
            f"{shift} sigma", "drawn to the pool's" if weighted else "as they are", rate(population, catalogues),
            rate(max(batches), catalogues), f"{1 - here['promoted'].mean():.0%}", f"{here['yield'].mean():.2f}",
        ))  # fmt: skip
    print_table(("shift", "calibration objects", "population", "batch", "refused", "yield"), lines)


def worst(rows: Rows) -> tuple[int, str]:
    """Most violated catalogues of any setting that is promised something, and of which promise."""
    found = []
    for index, setting in enumerate(settings()):
        if setting.sky.shift and not setting.weighted:
            continue  # calibration and pool are not alike: nothing is promised
        counts = broken(select(rows, np.array([index]), rule="certified"))
        promise = ("population", *(f"batch of a pool of {n:,}" for n in POOLS))
        found += [(n, f"{what}, {describe(setting)}") for n, what in zip(counts, promise, strict=True)]
    return max(found, key=lambda counted: counted[0])


def describe(setting: Setting) -> str:
    sky = setting.sky
    shift = f", shift {sky.shift}" if sky.shift else ""
    more = shift + (", whole pool" if setting.whole else "")
    return f"alpha {setting.alpha:.1%}, {sky.ratio:.0f}:1, d' {sky.separation}, logits x {setting.sharpness:.0f}{more}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--catalogues", type=int, default=500, help="of each setting")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = run(asked.catalogues, asked.processes, asked.seed)
    promises(rows, asked.catalogues, whole=False)
    promises(rows, asked.catalogues, whole=True)
    yields(rows)
    lost = five_rounds(rows)
    rules(rows, asked.catalogues)
    shifts(rows, asked.catalogues)
    violated, which = worst(rows)
    share = rate(violated, asked.catalogues)
    print(f"worst violation rate: {share} of {asked.catalogues} catalogues, delta {DELTA:.0%} ({which})")
    return int(lost > 0 or violated > max(1.0, DELTA * asked.catalogues))


if __name__ == "__main__":
    sys.exit(main())

"""Print the tables of a run, and what they say together."""

from collections import Counter
from itertools import product
from pathlib import Path

from benchmarks.efficacy import costs, curve, natural, order, perceptual, survival, targets, transferred
from benchmarks.efficacy.cells import SWEPT
from benchmarks.efficacy.kept import kept, origins
from benchmarks.efficacy.lab import Lab
from benchmarks.efficacy.page import write_page
from benchmarks.efficacy.tables import HEAD, Result, judge_checks, more_rows, self_checks, tables, write_results
from benchmarks.table import coverage, print_table

SAME = 0.02
"""By how much two runs of a cell with one seed may differ in identity: another number of threads or processor rounds
otherwise, and a hundred steps of training carry that on."""


def show(lab: Lab, results: list[Result], about: str, ours: str) -> None:
    """Print the tables and write JSON and the page of pictures, with what they are about."""
    folder, texts = lab.setup.results, [about]
    for title, rows in tables(results, ours):
        print(f"\n**{title}**\n")
        print_table(HEAD, rows)
        texts.append("\n".join([title, *(" | ".join(row) for row in rows)]))
    show_survival(results, ours)
    show_effects(results, ours)
    show_mixtures(results, ours)
    show_transfer(results)
    show_order(results)
    head, more = more_rows(results)
    if more:
        print("\n**Other measures of what thieves drew**\n")
        print_table(head, more)
    show_quality(results)
    show_costs(results)
    print(f"\n- judged by {lab.judge.name}")
    for sentence, holds in [*judge_checks(lab, results), *self_checks(results)]:
        print(f"- {'holds' if holds else 'FAILS'}: {sentence}")
    show_visibility(lab, results)
    print("\n".join(f"- {said}" for said in origins(result.found for result in results)))
    write_results(results, about, folder / "results.json")
    print(f"\nPictures: {write_page(lab, results, folder / 'page', texts)}")


def show_survival(results: list[Result], ours: str) -> None:
    """Print, where there are purifiers, ours beside each other method after every one of them."""
    whole = [r for r in results if r.cell.share == 1]
    for thief in sorted({r.cell.thief for r in whole if r.cell.purifier != "none"}):
        of_thief = [r for r in whole if r.cell.thief == thief]
        print(f"\n**{thief} after every purifier, {ours} and each other method**\n")
        print_table(survival.HEAD, survival.rows(of_thief, ours))
        print("\n".join(["", *(f"- {sentence}" for sentence in survival.verdicts(of_thief, ours))]))
        print(f"\n**{thief}: each person after the purifier that helped the thief most, of those that both met**\n")
        print_table(survival.WORST_HEAD, survival.worst_rows(of_thief, ours))


def show_effects(results: list[Result], ours: str) -> None:
    """Print what ours takes from each thief, and of whom."""
    whole = [r for r in results if r.cell.share == 1]
    for thief in sorted({r.cell.thief for r in whole}):
        if rows := list(survival.effect_rows([r for r in whole if r.cell.thief == thief], ours)):
            print(f"\n**{thief}: what {ours} takes beside clean pictures, and of whom**\n")
            print_table(survival.EFFECT_HEAD, rows)


def show_mixtures(results: list[Result], ours: str) -> None:
    """Print, where thieves also had pictures that nobody protected, what is left with how many."""
    plain = [r for r in results if r.cell.purifier == "none"]
    for thief in sorted({r.cell.thief for r in plain if r.cell.share < 1}):
        if rows := list(survival.mixed_rows([r for r in plain if r.cell.thief == thief], ours)):
            print(f"\n**{thief}, some of whose pictures nobody protected**\n")
            print_table(survival.MIXED_HEAD, rows)


def show_transfer(results: list[Result]) -> None:
    """Print, where thieves worked on a model that no protection knows, how much of each effect was left there."""
    if rows := list(transferred.rows(results)):
        print("\n**What is left of the effect where the thief has another model**\n")
        print_table(transferred.HEAD, rows)


def show_order(results: list[Result]) -> None:
    """Print the order of the field's methods beside the published one, where there are enough of them."""
    if found := order.found_here(results):
        print(f"\n**The published order beside this one ({order.THIEF}; in brackets the rank)**\n")
        print_table(order.HEAD, order.rows(found))
        print(f"\n- {order.agreement(found)}")


def show_quality(results: list[Result]) -> None:
    """Print BRISQUE as far as it was taken."""
    if rows := list(natural.rows(results)):
        print("\n**BRISQUE (low = a clean photo)**\n")
        print_table(natural.HEAD, rows)


def show_costs(results: list[Result]) -> None:
    """Print what protections cost."""
    if rows := list(costs.rows(results)):
        print(f"\n**{costs.TITLE}**\n")
        print_table(costs.HEAD, rows)


def show_repeats(lab: Lab, results: list[Result]) -> None:
    """Print what was measured anew beside what is kept of it: with one seed both should agree."""
    before = kept(lab.setup.results.name)
    if lacking := sum(lab.path(result.cell).stem not in before for result in results):
        print(f"- of {lacking} of these cells nothing is kept with this code, these settings and this precision")
    for anew in results:
        cell = anew.cell
        if found := before.get(lab.path(cell).stem):
            then = Result(cell, found).identity
            said = (
                f"{cell.thief}, {cell.label}, {cell.purifier}, person {cell.person}: identity {anew.identity:.4f} anew"
            )
            agree = "holds" if abs(anew.identity - then) < SAME else "FAILS"
            print(f"- {agree}: {said} is {then:.4f} as kept of commit {found['made']['commit']}")


def show_visibility(lab: Lab, results: list[Result]) -> None:
    """Print the measures of visibility that can be taken here, and say which cannot."""
    measures, lacking = perceptual.available(min(lab.person(results[0].cell.person).stolen.shape[-2:]))
    if measures:
        print("\n**More measures of visibility**\n")
        print_table(("method", "n", *measures), perceptual.rows(lab, results, measures))
    print("\n".join(["", *(f"- {sentence}" for sentence in lacking)]))


def show_targets(results: list[Result], ours: str) -> None:
    """Print what was asked of ours and what came of it."""
    print("\n**What was asked of ours**\n")
    print_table(targets.HEAD, targets.rows(results, ours))
    people = Counter((r.cell.thief, r.cell.label, r.cell.purifier, r.cell.share) for r in results)
    counts = set(people.values()) - {1}
    if said := ", ".join(f"{coverage(people):.0%} of trials over {people}" for people in sorted(counts)):
        print(
            f"\n- where people are normally distributed, 95 % intervals hold the truth in {said}: they are too narrow"
        )


def show_sweep(results: list[Result], folder: Path) -> None:
    """Print, a thief and kind of DiffPure, what is left of each method and draw it."""
    for thief, purifier in product(sorted({r.cell.thief for r in results}), SWEPT):
        swept = [r for r in results if r.cell.thief == thief and r.cell.purifier.startswith(("none", f"{purifier} "))]
        if all(r.cell.purifier == "none" for r in swept):
            continue
        print(f"\n**{thief} after {purifier}: what is left of the effect**\n")
        print_table(curve.HEAD, curve.effect_rows(swept))
        picture = folder / f"{purifier}_{thief.replace(' ', '')}.png"
        curve.draw_sweep(swept).save(picture)
        print(f"\nCurves: {picture}")

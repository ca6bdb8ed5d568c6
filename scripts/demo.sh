#!/usr/bin/env bash
# The quick tour: simulate a survey with known truth, run three rounds on it with two Horovod processes, and
# write a FITS catalogue. Minutes on a laptop; everything stays in the folder `demo` for a look around.
#
# usage: scripts/demo.sh [WORKSPACE]        (OBJECTS=2700 SEED=0 NP=2 ROUNDS=3 by default)
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ -d "$here/.venv/bin" ] && PATH="$here/.venv/bin:$PATH"
workspace=${1:-$here/demo}
started=$SECONDS

# One that was cut short goes on.
if [ -e "$workspace/exports/catalog.fits" ] && [ -e "$workspace/sources/plan.json" ]; then
    echo "The demo in $workspace was run before; it starts anew."
    rm -rf "$workspace"
fi
echo "== A survey with known truth, as SDSS and as DES would see it"
catbuilder simulate "$workspace" --objects "${OBJECTS:-2700}" --seed "${SEED:-0}"
export CATBUILDER_WORKSPACE=$workspace
catbuilder status

echo
echo "== Rounds: train, score the pool, promote the surest, measure"
catbuilder round --n "${ROUNDS:-3}" --recipe demo --np "${NP:-2}" --seed "${SEED:-0}"

echo
echo "== How good each round's catalogue is on the fixed test sets"
catbuilder sql "
    SELECT test_set, survey, round, n,
           round(100 * accuracy, 1) AS accuracy, round(100 * low, 1) AS low, round(100 * high, 1) AS high,
           round(100 * (accuracy - first(accuracy) OVER (PARTITION BY test_set, survey ORDER BY round)), 1) AS change
    FROM (SELECT test_set, survey, round, n, value AS accuracy, low, high FROM metrics
          WHERE metric = 'accuracy' AND coverage = 1 AND variable IS NULL AND truth = 'debiased'
            AND test_set IN ('HP', 'FO'))
    ORDER BY test_set DESC, survey, round"

echo "A change of a point or two may be another training's. What speaks is the mean of the rounds' networks:"
catbuilder sql "SELECT model AS round, member, file FROM members ORDER BY ALL"
echo "What rounds gain beside a control of the same compute: docs/results-recursion.md."

echo
echo "== Proofs, a file and a report for a colleague"
catbuilder check
mkdir -p "$workspace/exports"
catbuilder export "$workspace/exports/catalog.fits"
catbuilder report

cat <<END

Done in $((SECONDS - started)) s. Everything is in $workspace:
  catalog.duckdb           every object, label, score and metric, with its history
  rounds/001 ... 003       plans, manifests, models, scores
  exports/catalog.fits     for TOPCAT or astropy
  reports/report-${ROUNDS:-3}.html    open it in a browser: curves, pictures, checks
  sources/truth.csv        what the simulated galaxies really are

Try next:
  . .venv/bin/activate && export CATBUILDER_WORKSPACE=$workspace
  catbuilder metrics
  catbuilder why $(catbuilder sql "SELECT object_id FROM catalog WHERE source = 'promoted' ORDER BY confidence LIMIT 1" --format csv | tail -n 1)
  catbuilder sql "SELECT label, source, count(*) FROM catalog_at(1) GROUP BY ALL"
  catbuilder round --n 2 --recipe demo --np 2
END

#!/usr/bin/env bash
# Build a small catalogue from real galaxies. The catalogues: Galaxy Zoo 1, SDSS DR7 and DES DR1, cross-matched and
# assembled into HP, FO and calibration by the paper's rules. The images: train on SDSS galaxies with Galaxy Zoo 2
# votes, steer by volunteers' labels of DECam images, test on HP galaxies that SDSS and DES both saw and on FO galaxies
# of SDSS, and label a pool of DES and DECam stamps in three rounds.
#
# usage: scripts/real_galaxies.sh DATA WORKSPACE        e.g. scripts/real_galaxies.sh ../shared/data real
#        SEED=1 NP=2 ROUNDS=3 RECIPE=real               (environment; these are the defaults but for SEED, which is 0)
#        LABELLED=200  so many of the labelled SDSS galaxies, half of each class, drawn by the seed; default: all
#        ROUNDS=0      builds the workspace and runs no round
set -euo pipefail

if [ $# -ne 2 ]; then
    sed -n '7,10s/^# //p' "$0" >&2
    exit 2
fi
data=$(cd "$1" && pwd)
workspace=$2
seed=${SEED:-0}
here=$(cd "$(dirname "$0")/.." && pwd)
[ -d "$here/.venv/bin" ] && PATH="$here/.venv/bin:$PATH"

tables=$(mktemp -d)
trap 'rm -rf "$tables"' EXIT
python3 "$here/scripts/study/draw_labels.py" "$data/sdss_gz2/labels.csv" "${LABELLED:-all}" "$seed" >"$tables/labelled.csv"

if [ ! -e "$workspace/catbuilder.toml" ]; then
    catbuilder init "$workspace" --stamp-size 96 --recipe real
fi
if ! grep -q surveys.decals "$workspace/catbuilder.toml"; then
    printf '\n[surveys.decals]\nrelease = ""\nid_column = "object_id"\n' >>"$workspace/catbuilder.toml"
fi
export CATBUILDER_WORKSPACE=$workspace

# A test set is written once: what an earlier call of this script has declared stays.
declare_set() {
    local known
    known=$(catbuilder sql "SELECT count(*) FROM test_sets WHERE test_set = '$1' AND survey = '$2'" --format csv | tail -n 1)
    [ "$known" != 0 ] || catbuilder testset "$1" --survey "$2" --table "$3" "${@:4}"
}
ingest() { catbuilder ingest images "$data/$1" --table "$2" --survey "$3" "${@:4}"; }

# Galaxies of another draw may not join those that an earlier call of this script has brought in.
if [ -e "$workspace/labelled.csv" ] && ! cmp -s "$tables/labelled.csv" "$workspace/labelled.csv"; then
    echo "$workspace was begun with other labelled galaxies; give the same LABELLED and SEED, or another workspace" >&2
    exit 1
fi
cp "$tables/labelled.csv" "$workspace/labelled.csv"

# The catalogues, as the archives give them.
catbuilder ingest gz1 "$data/catalogs/gz1_table2.csv"
catbuilder ingest sdss "$data/catalogs/sdss_dr7_photoobj.csv.gz"
catbuilder ingest des "$data/catalogs/des_dr1_main.fits"

# The images: SDSS with votes, DECam with volunteers' guide labels, and two pools without labels.
ingest sdss_gz2/images "$workspace/labelled.csv" sdss --split train --source galaxy_zoo
ingest decals_validation/images "$data/decals_validation/labels.csv" decals --split validation --source galaxy_zoo
ingest des_pool/images "$data/des_pool/objects.csv" des --split pool
ingest decals/images "$data/decals/objects.csv" decals --split pool

# Images of test galaxies. HP: the same galaxies in both surveys, under the archives' ids. FO in SDSS: images given by
# position, of which some show galaxies of the catalogues; the others are only scored, since SDSS is not the target.
for survey in sdss des; do
    [ $survey = sdss ] && column=1 || column=2
    awk -F, -v c=$column 'BEGIN {print "object_id,file"} NR > 1 {print $c "," $c ".png"}' \
        "$data/hp_pairs/pairs.csv" >"$tables/images_$survey.csv"
    ingest hp_pairs/$survey "$tables/images_$survey.csv" $survey --split none
done
ingest sdss_s82/images "$data/sdss_s82/objects.csv" sdss --split none

catbuilder crossmatch --radius 1
catbuilder assemble --recipe "${RECIPE:-real}" --hp "$data/catalogs/hp_test_set.csv"

# FO galaxies of DES without id or position: they are scored, and the firewall keeps their pictures out of training.
ingest des_fo/images "$data/des_fo/objects.csv" des --split none
declare_set FO_unnamed des "$data/des_fo/objects.csv" --no-truth

[ "${ROUNDS:-3}" != 0 ] || exit 0
catbuilder round --n "${ROUNDS:-3}" --recipe "${RECIPE:-real}" --np "${NP:-2}" --seed "$seed"

echo
catbuilder metrics
echo
catbuilder status
catbuilder check
catbuilder export "$workspace/real.fits"
echo
echo "The pool: what each DES object is called, by whom, and how sure the latest model is."
catbuilder sql "SELECT coalesce(label, predicted_label) AS class, coalesce(source, 'predicted') AS source, count(*) AS objects,
                       round(avg(predicted_confidence), 3) AS mean_confidence
                FROM catalog WHERE survey = 'des' AND split = 'pool' AND test_set IS NULL AND quality IS NOT NULL GROUP BY ALL ORDER BY ALL"
echo
echo "Everything is in $workspace; look further with: catbuilder -w $workspace sql \"SELECT * FROM catalog LIMIT 10\""

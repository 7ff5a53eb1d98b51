#!/bin/sh
# Makes the overlays of the survey's board and phones again, from the half of
# their published times that is there to fit on:
#
#     hardware-profiles/measurements/overlays.sh [ASSAY]
#
# from the root of the repository, with the command to run (`assay` unless
# given). The half to judge by is not read: the test
# `overlays_predict_the_models_that_they_were_not_fitted_on` does that, and the
# overlays are built into the binary, so build it again first.
set -eu

assay=${1:-assay}
case $assay in
*/*) assay=$(cd "$(dirname "$assay")" && pwd)/$(basename "$assay") ;;
esac
root=$(cd "$(dirname "$0")/../.." && pwd)
table=$root/hardware-profiles/measurements/survey-fit.csv
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

overlay() { # profile of the table, file of the overlay
    # An overlay is of one device, and its source names the table as it lies.
    awk -F, -v on="$1" 'NR == 1 || $2 == on' "$table" >"$folder/survey-fit.csv"
    (cd "$folder" && "$assay" calibrate --from survey-fit.csv \
        --out "$root/hardware-profiles/calibrations/$2.toml")
}

overlay nvidia-jetson-orin-nx-16gb nvidia-jetson-orin-nx-16gb
overlay snapdragon-8-gen-3:cpu snapdragon-8-gen-3-cpu
overlay google-tensor-g2:cpu google-tensor-g2-cpu
overlay snapdragon-888:cpu snapdragon-888-cpu

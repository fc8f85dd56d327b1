#!/usr/bin/env bash
# Trains networks like the demo's from nothing: phantoms by parallax, networks by PyTorch 2.8 (pip install torch numpy safetensors).
# Seeds are fixed; steps are counted, not timed. Usage: assets/training/train.sh WORK_FOLDER
set -euo pipefail
work=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
assets=$(dirname "$here")
mkdir -p "$work"

cargo build --release --locked --manifest-path "$assets/../Cargo.toml"
parallax="$assets/../target/release/parallax"
"$parallax" phantom --seeds 1000:1640 --random --card "$assets/vqgan.toml" --out "$work/data" --overwrite
"$parallax" phantom --seeds 100000:100200 --random --card "$assets/vqgan.toml" --out "$work/test" --overwrite

cd "$work"
# The classifier learns on reconstructions of an autoencoder 16 times coarser than the slices. Counterfactuals through one that is
# 32 times coarser were found to be truer: that one ships.
python "$here/autoencoder.py" --factor 16 --steps 1500 --out teacher.safetensors
teacher=(--autoencoder teacher.safetensors --factor 16)
python "$here/classifier.py" "${teacher[@]}" --steps 1200 --adversarial 400 --out begun.safetensors
python "$here/classifier.py" "${teacher[@]}" --resume begun.safetensors --steps 0 --adversarial 600 --rate 1.4e-3 --out classifier.safetensors
python "$here/autoencoder.py" --factor 32 --steps 1500 --out vqgan.safetensors
python "$here/segmenter.py" --steps 400 --out segmenter.safetensors
python "$here/publish.py" vqgan.safetensors classifier.safetensors segmenter.safetensors "$assets"

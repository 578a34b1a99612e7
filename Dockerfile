# Runs the demo on a CPU, without a network:
#   docker build -t wsseg .
#   mkdir -p runs && docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/runs:/runs" wsseg
# Any other command of wsseg: docker run --rm -v "$PWD:/data" -w /data wsseg wsseg --help
# For a GPU: docker build --build-arg TORCH_OPTIONS= -t wsseg . , and add --gpus all to docker run
FROM python:3.12-slim

ARG TORCH_OPTIONS="--index-url https://download.pytorch.org/whl/cpu"
RUN pip install --no-cache-dir $TORCH_OPTIONS "torch>=2.6,<3" torchvision

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY wsseg wsseg
COPY plugins plugins
COPY recipes recipes
COPY benchmarks/demo benchmarks/demo
RUN pip install --no-cache-dir ".[dicom]" ./plugins/wsseg-ct ./plugins/wsseg-sigmoid ./recipes/covid

ENV WSSEG_CACHE=/tmp/wsseg-cache MPLCONFIGDIR=/tmp/matplotlib
CMD ["wsseg", "bench", "run", "benchmarks/demo/suite.yaml", "--out", "/runs/demo"]

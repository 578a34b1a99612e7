# Runs the demo on a CPU, without a network:
#   docker build -t wsseg .
#   docker run --rm -v "$PWD/runs:/runs" wsseg
# Any other command of wsseg: docker run --rm -v "$PWD:/data" -w /data wsseg wsseg --help
FROM python:3.12-slim

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY wsseg wsseg
COPY plugins plugins
COPY recipes recipes
COPY benchmarks/phantom benchmarks/phantom
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    "torch==2.*" ".[dicom]" ./plugins/wsseg-ct ./plugins/wsseg-sigmoid ./recipes/covid

ENV WSSEG_CACHE=/tmp/wsseg-cache
CMD ["wsseg", "bench", "run", "benchmarks/phantom/demo.yaml", "--out", "/runs/demo"]

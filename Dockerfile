# Two stages: the environment is built where pip may write, and copied to where nothing may.
#   docker build -t rankwright .                       trees only
#   docker build -t rankwright --build-arg EXTRAS=neural .

FROM python:3.11-slim-bookworm AS build
ARG EXTRAS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/rankwright
WORKDIR /src
COPY pyproject.toml README.md ./
COPY constraints constraints
COPY ranking ranking
COPY service service
COPY scripts/warm_up.py scripts/warm_up.py
# LightGBM needs the OpenMP runtime to grow the two trees that are compiled for.
# hadolint ignore=DL3003,DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && /opt/rankwright/bin/python -m pip install -c constraints/cpu.txt ".${EXTRAS:+[$EXTRAS]}" \
    && cd / && NUMBA_CACHE_DIR=/opt/rankwright/numba /opt/rankwright/bin/python /src/scripts/warm_up.py

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="rankwright" \
      org.opencontainers.image.description="Learning to rank: train, measure and serve rankers"
# LightGBM is linked against the OpenMP runtime, which the slim image leaves out. Nothing here needs a setuid program.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/rankwright /opt/rankwright
# Machine code is kept under /tmp, the one place a read-only container can write to; what the build compiled from the
# same sources is copied there when it is first needed, because Numba keeps its code only where it may write.
ENV PATH=/opt/rankwright/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    RANKWRIGHT_COMPILED=/opt/rankwright/numba/rankwright-compiled
WORKDIR /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# urllib would ask a proxy, where one is injected into the environment.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import http.client; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=2); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["rankwright"]
CMD ["serve", "--registry", "/models", "--host", "0.0.0.0", "--port", "8000"]

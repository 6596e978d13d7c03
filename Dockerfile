FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The pinned runtime of the development dependencies is left out: this image has its own.
RUN npm ci --ignore-scripts
COPY rolldown.config.ts ./
COPY src ./src
COPY ui ./ui
RUN npm run build

FROM node:24-slim
ENV NODE_ENV=production MTLSD_HOME=/var/lib/mtlsd
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY config ./config
RUN install -d -o node -g node -m 0700 /var/lib/mtlsd
USER node
VOLUME /var/lib/mtlsd
EXPOSE 8740
# Through the admin API on the container's own loopback, the only place that it listens on.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8741/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/mtlsd.js"]
# Reachable from outside the container only with auth.password in mtlsd.yaml, and then with --listen 0.0.0.0:8740.
CMD ["start"]

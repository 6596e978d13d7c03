FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# The pinned runtime of the development dependencies is left out: this image has its own.
RUN npm ci --ignore-scripts
COPY rolldown.config.ts LICENSE ./
COPY src ./src
COPY bin ./bin
COPY config ./config
COPY ui ./ui
RUN npm run build

FROM node:24-slim
ENV NODE_ENV=production MTLSD_HOME=/var/lib/mtlsd
WORKDIR /opt/mtlsd
COPY --from=build /app/package.json /app/LICENSE ./
# dist/cli/LICENCES.txt and dist/ui/LICENCES.md are the licences of what is in the bundles.
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY config ./config
# public is for a volume that other containers read: public_dir. Its mode lets them; the home's does not.
RUN ln -s /opt/mtlsd/bin/mtlsd.js /usr/local/bin/mtlsd && \
    install -d -o 1000 -g 1000 -m 0700 /var/lib/mtlsd && \
    install -d -o 1000 -g 1000 -m 0755 /var/lib/mtlsd-public
# Numeric, so that runAsNonRoot can be checked without the image's /etc/passwd.
USER 1000:1000
VOLUME /var/lib/mtlsd
EXPOSE 8740 9464
# Follows the admin address in run.json, whatever the settings say.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["mtlsd", "health"]
ENTRYPOINT ["mtlsd"]
# Reachable from outside the container only with auth in mtlsd.yaml, and then with --listen 0.0.0.0:8740.
CMD ["start"]
